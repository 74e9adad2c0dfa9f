"""Encode: what a condition may ask of whoever holds the autoencoders."""

from typing import Protocol

from torch import Tensor

from mmdiff.values.shapes import ClipShape, LatentGrid


class Encode(Protocol):
    """Media of one clip to latents of unit variance.

    shape  of the clip that is made: conditions fit what they hold to it
    grid   how media map onto latents
    """

    @property
    def shape(self) -> ClipShape: ...

    @property
    def grid(self) -> LatentGrid: ...

    def video(self, frames: Tensor) -> Tensor:
        """1 c f h w of  frames height width 3, uint8:  1 + 4k frames of the clip's size."""
        ...

    def audio(self, waveform: Tensor) -> Tensor:
        """1 c t m of  1 samples:  as long as the clip, at its sample rate."""
        ...
