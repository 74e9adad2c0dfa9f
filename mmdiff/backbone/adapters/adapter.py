"""Adapter: what one modality adds to the shared trunk."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mmdiff.backbone.adapters.time_attention import TimeAttention
from mmdiff.backbone.time_embedding import TimeEmbedding
from mmdiff.backbone.trunk_input import ModalityTokens

OCTAVES = 6


class Adapter(nn.Module, ABC):
    """The two ends of a modality: latents to tokens of the trunk's width, and tokens to
    predictions.

    Tokens are ordered by latent frame: b f p d, with p tokens per latent frame.

    time_attention: the class of what carries information from group to group.
    """

    time_attention: ClassVar[type[TimeAttention]]

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
        """f p 3: seconds, and row and column as a fraction of the grid, fp32."""

    @abstractmethod
    def grid(self, shape: torch.Size) -> tuple[int, int]:
        """Rows and columns of tokens in a latent frame."""

    def embed(
        self, latents: Tensor, time: Tensor | None, time_embed: TimeEmbedding
    ) -> ModalityTokens:
        """Latents and their noise times to tokens of the trunk."""
        if time is None:
            raise ValueError("these latents have no noise times; give `time` for each modality")
        tokens = self.patch_embed(self.patchify(latents))
        positions = self.positions(latents.shape, latents.device)
        tokens = tokens + self.position_embed(fourier(positions).to(tokens.dtype))
        embedding, modulation = time_embed(self.patchify_time(time))
        return ModalityTokens(
            tokens, positions, embedding, modulation, grid=self.grid(latents.shape)
        )

    def unembed(self, tokens: Tensor, embedded: ModalityTokens, shape: torch.Size) -> Tensor:
        """Tokens  b f p d  out of the trunk to a prediction of `shape`."""
        return self.unpatchify(self(tokens, embedded.embedding), shape)

    def forward(self, tokens: Tensor, embedding: Tensor) -> Tensor:
        """Patches  b f p c  of tokens  b f p d. A call of the module, since hooks that offload
        weights see no other use of `table`."""
        shift, scale = (self.table + embedding[..., None, :]).to(tokens.dtype).unbind(-2)
        tokens = F.layer_norm(tokens, tokens.shape[-1:]) * (1 + scale) + shift
        return self.proj_out(tokens)

    @abstractmethod
    def patchify_time(self, time: Tensor) -> Tensor:
        """Noise times, shaped like the latents with one channel, axes of 1 allowed
        -> b f p, 1 where they agree."""


def fourier(positions: Tensor) -> Tensor:
    """cos and sin of each coordinate at six octaves: ... 3 -> ... 36."""
    octaves = torch.pi * 2.0 ** torch.arange(-1, OCTAVES - 1, device=positions.device)
    angles = rearrange(positions[..., None] * octaves, "... x o -> ... (x o)")
    return torch.cat([angles.cos(), angles.sin()], dim=-1)
