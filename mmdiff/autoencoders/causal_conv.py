"""Layers of a video autoencoder made of 2-d and 1-d convolutions, causal in time.
All take and return b f h w c.

A 3 x 3 x 3 convolution is split into a 3 x 3 one over the picture and one of 3 over time ((2+1)-d,
Tran et al., arXiv 1711.11248): as expressive for clips, and ten times as fast on a CPU, where 3-d
kernels are slow. Channels come last, so that everything over channels alone is a plain matrix
product.
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F


class Stream:
    """The memory of one pass through causal layers.

    A whole clip is a stream of one chunk, so there is one code path. A layer that needs the past
    asks `with_past`; at the start of a stream the first frame stands in for the past, so a still
    image equals the first frame of a clip.
    """

    def __init__(self) -> None:
        self._past: dict[nn.Module, Tensor] = {}
        self._started: set[nn.Module] = set()

    def with_past(self, layer: nn.Module, x: Tensor, *, past: int, keep: int) -> Tensor:
        """`x` (b f h w c) with its past in front: `past` copies of the first frame at the start of
        the stream, later the last `keep` frames that `layer` saw."""
        remembered = self._past.get(layer)
        if remembered is None:
            remembered = x[:, :1].expand(-1, past, -1, -1, -1)
        joined = torch.cat([remembered, x], dim=1)
        self._past[layer] = joined[:, joined.shape[1] - keep :]
        return joined

    def is_first(self, layer: nn.Module) -> bool:
        """True the first time that `layer` asks in this stream."""
        first = layer not in self._started
        self._started.add(layer)
        return first


class SpatialConv(nn.Module):
    """3 x 3 convolution over each frame.

    The weight is kept as one matrix, out x (in 3 3),
    so that optimizers for matrices (Muon) take it as it is.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels * 9))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        frames = x.shape[1]
        kernel = rearrange(self.weight, "o (i p q) -> o i p q", p=3, q=3)
        x = F.conv2d(rearrange(x, "b f h w c -> (b f) c h w"), kernel, self.bias, padding=1)
        return rearrange(x, "(b f) c h w -> b f h w c", f=frames)


class CausalTimeConv(nn.Module):
    """Convolution of 3 over time that sees the present and the past;
    with `stride` 2, 1 + 2k frames become 1 + k."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.linear = nn.Linear(3 * in_channels, out_channels)

    def forward(self, x: Tensor, stream: Stream) -> Tensor:
        x = stream.with_past(self, x, past=2, keep=3 - self.stride)
        last = x.shape[1] - 2
        taps = [x[:, tap : tap + last : self.stride] for tap in range(3)]
        return self.linear(torch.cat(taps, dim=-1))


class TimeUpsample(nn.Module):
    """Two frames from each, except from the very first: 1 + k frames become 1 + 2k."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, 2 * out_channels)

    def forward(self, x: Tensor, stream: Stream) -> Tensor:
        x = rearrange(self.linear(x), "b f h w (two c) -> b (f two) h w c", two=2)
        return x[:, 1:] if stream.is_first(self) else x


class SpaceDownsample(nn.Module):
    """Each 2 x 2 square of sites becomes one."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4 * in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(rearrange(x, "b f (h p) (w q) c -> b f h w (p q c)", p=2, q=2))


class SpaceUpsample(nn.Module):
    """Each site becomes a 2 x 2 square."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, 4 * out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return rearrange(self.linear(x), "b f h w (p q c) -> b f (h p) (w q) c", p=2, q=2)


class ResidualBlock(nn.Module):
    """(2+1)-d residual block: a convolution over the picture, one over time;
    the identity at initialisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.space = SpatialConv(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.time = CausalTimeConv(channels, channels)
        nn.init.zeros_(self.time.linear.weight)
        nn.init.zeros_(self.time.linear.bias)

    def forward(self, x: Tensor, stream: Stream) -> Tensor:
        h = self.space(F.silu(self.norm1(x)))
        return x + self.time(F.silu(self.norm2(h)), stream)
