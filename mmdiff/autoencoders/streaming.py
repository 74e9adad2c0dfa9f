"""Stream: what causal layers remember of the past,
so that a clip can pass through chunk by chunk."""

import torch
from torch import Tensor, nn


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
