"""Batches: what a loader hands to a module, as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mmdiff.values.latents import ClipLatents
from mmdiff.values.sample import Sample


@dataclass(frozen=True)
class ClipBatch:
    """Clips in media space.

    frames      b frames height width 3, uint8
    waveform    b samples, float32 in [-1, 1]
    captions    one per clip
    sample_ids  the number of each sample in the endless order, which keys its noise
    """

    frames: Tensor
    waveform: Tensor
    captions: tuple[str, ...]
    sample_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.captions)

    def to(self, *args: Any, **kwargs: Any) -> ClipBatch:
        """Like `Tensor.to`, on frames and waveform."""
        return replace(
            self,
            frames=self.frames.to(*args, **kwargs),
            waveform=self.waveform.to(*args, **kwargs),
        )

    @classmethod
    def collate(cls, items: Sequence[tuple[int, Sample]]) -> ClipBatch:
        """Stack numbered samples; all must have the same shape."""
        numbers, samples = [number for number, _ in items], [sample for _, sample in items]
        return cls(
            frames=torch.stack([sample.frames for sample in samples]),
            waveform=torch.cat([sample.waveform for sample in samples]),
            captions=tuple(sample.caption for sample in samples),
            sample_ids=tuple(numbers),
        )


@dataclass(frozen=True)
class LatentBatch:
    """Clips in latent space, unit variance: video b c f h w, audio b c t m; captions and sample ids
    as in `ClipBatch`."""

    latents: ClipLatents
    captions: tuple[str, ...]
    sample_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.captions)

    def to(self, *args: Any, **kwargs: Any) -> LatentBatch:
        return replace(self, latents=self.latents.to(*args, **kwargs))
