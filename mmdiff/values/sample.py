"""Sample: one captioned clip, as a dataset hands it out."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One training example in media space.

    frames    frames height width 3, uint8
    waveform  1 samples, float32 in [-1, 1]
    caption   what the clip shows and sounds like
    key       names the content: equal keys, equal clips
    """

    frames: Tensor
    waveform: Tensor
    caption: str
    key: str
