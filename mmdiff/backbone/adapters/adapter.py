"""Adapter: what one modality adds to the shared trunk."""

from abc import ABC, abstractmethod

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mmdiff.backbone.modality_tokens import ModalityTokens
from mmdiff.backbone.time_embedding import TimeEmbedding

OCTAVES = 6


class Adapter(nn.Module, ABC):
    """The two ends of a modality: latents to tokens of the trunk's width, and tokens to
    predictions.

    Tokens are ordered by latent frame: b f p d, with p tokens beside each latent frame.
    """

    def __init__(self, patch_dim: int, dim: int) -> None:
        super().__init__()
        self.patch_embed = nn.Linear(patch_dim, dim)
        self.position_embed = nn.Linear(3 * 2 * OCTAVES, dim)
        self.table = nn.Parameter(torch.randn(2, dim) / dim**0.5)
        self.proj_out = nn.Linear(dim, patch_dim)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    @abstractmethod
    def patchify(self, latents: Tensor) -> Tensor:
        """Latents b c ... -> patches b f p c."""

    @abstractmethod
    def unpatchify(self, patches: Tensor, shape: torch.Size) -> Tensor:
        """The inverse of `patchify`, to latents of `shape`."""

    @abstractmethod
    def positions(self, shape: torch.Size, device: torch.device) -> Tensor:
        """f p 3: seconds, and row and column as a fraction of the canvas, fp32."""

    @abstractmethod
    def canvas(self, shape: torch.Size) -> tuple[int, int]:
        """Rows and columns of tokens on the canvas."""

    def enter(
        self, latents: Tensor | None, time: Tensor | None, time_embed: TimeEmbedding
    ) -> ModalityTokens | None:
        """Latents and their noise levels to tokens of the trunk; None for an absent modality."""
        if latents is None:
            return None
        if time is None:
            raise ValueError("these latents have no noise levels; give `time` for each modality")
        tokens = self.patch_embed(self.patchify(latents))
        positions = self.positions(latents.shape, latents.device)
        tokens = tokens + self.position_embed(fourier(positions).to(tokens.dtype))
        embedding, modulation = time_embed(self.patchify_time(time))
        return ModalityTokens(
            tokens, positions, embedding, modulation, canvas=self.canvas(latents.shape)
        )

    def leave(
        self, tokens: Tensor | None, entered: ModalityTokens | None, latents: Tensor | None
    ) -> Tensor | None:
        """Tokens b f p d out of the trunk to a prediction shaped like `latents`."""
        if tokens is None or entered is None or latents is None:
            return None
        return self.unpatchify(self(tokens, entered.embedding), latents.shape)

    def forward(self, tokens: Tensor, embedding: Tensor) -> Tensor:
        """Patches  b f p c  of tokens  b f p d. A call of the module, since hooks that offload
        weights see no other use of `table`."""
        shift, scale = (self.table + embedding[..., None, :]).to(tokens.dtype).unbind(-2)
        tokens = F.layer_norm(tokens, tokens.shape[-1:]) * (1 + scale) + shift
        return self.proj_out(tokens)

    @abstractmethod
    def patchify_time(self, time: Tensor) -> Tensor:
        """Noise levels, shaped like the latents with one channel, axes of 1 allowed
        -> b f p, 1 where they agree."""


def fourier(positions: Tensor) -> Tensor:
    """cos and sin of each coordinate at six octaves: ... 3 -> ... 36."""
    octaves = torch.pi * 2.0 ** torch.arange(-1, OCTAVES - 1, device=positions.device)
    angles = rearrange(positions[..., None] * octaves, "... x o -> ... (x o)")
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
