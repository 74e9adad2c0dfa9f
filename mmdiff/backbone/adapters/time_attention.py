"""Temporal attention: over the whole length of a clip, across groups. Zero at initialisation."""

from abc import ABC, abstractmethod

import torch
from einops import rearrange
from torch import Tensor, nn

from mmdiff.backbone.attention import Attention
from mmdiff.backbone.rope import rotary_table


class TimeAttention(nn.Module, ABC):
    """What an adapter adds to a block, so that an image trunk can learn motion and audio.

    Its last layer starts at zero: at initialisation the block is that of the trunk alone.
    """

    def __init__(self, dim: int, num_heads: int, *, positions_per_second: float) -> None:
        super().__init__()
        self.positions_per_second = positions_per_second
        self.norm = nn.LayerNorm(dim)
        self.attn = Attention(dim, num_heads)
        for parameter in self.attn.to_out.parameters():
            nn.init.zeros_(parameter)

    @abstractmethod
    def forward(self, tokens: Tensor, seconds: Tensor) -> Tensor:
        """What to add to tokens  b f p d, which lie at `seconds`  f p."""

    def attend(self, rows: Tensor, seconds: Tensor) -> Tensor:
        """rows  b n d at `seconds`  n."""
        still = torch.zeros_like(seconds)
        positions = torch.stack([seconds * self.positions_per_second, still, still], dim=-1)
        table = rotary_table(positions, self.attn.inner_dim // self.attn.heads)
        return self.attn(self.norm(rows), rotary_emb=table)


class VideoTimeAttention(TimeAttention):
    """Each site of the video attends to itself in all latent frames."""

    def forward(self, tokens: Tensor, seconds: Tensor) -> Tensor:
        sites = tokens.shape[2]
        rows = rearrange(tokens, "b f p d -> (b p) f d")
        return rearrange(self.attend(rows, seconds[:, 0]), "(b p) f d -> b f p d", p=sites)


class AudioTimeAttention(TimeAttention):
    """All frames of the audio attend to each other."""

    def forward(self, tokens: Tensor, seconds: Tensor) -> Tensor:
        count = tokens.shape[2]
        rows = rearrange(tokens, "b f p d -> b (f p) d")
        mixed = self.attend(rows, rearrange(seconds, "f p -> (f p)"))
        return rearrange(mixed, "b (f p) d -> b f p d", p=count)
