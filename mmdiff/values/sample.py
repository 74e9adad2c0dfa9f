"""Sample: one captioned clip, as a dataset hands it out; and what is known of it before it is
read."""

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor


@dataclass(frozen=True)
class Sample:
    """One training example in media space; video or audio may be absent, not both.

    frames    frames height width 3, uint8, or None
    waveform  1 samples, float32 in [-1, 1], or None
    caption   what the clip shows and sounds like
    key       names the content: equal keys, equal clips
    frame_rate, sample_rate   of the two, or None where the dataset does not say
    """

    frames: Tensor | None
    waveform: Tensor | None
    caption: str
    key: str
    frame_rate: Fraction | None = None
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if self.frames is None and self.waveform is None:
            raise ValueError(f"the sample {self.key!r} has neither frames nor a waveform")


@dataclass(frozen=True)
class SampleFacts:
    """What a dataset knows of a sample without decoding it.

    key       its name
    caption   what it shows and sounds like
    identity  changes whenever its pixels or its samples would: a digest of the file, the stretch
              and the spec that it is brought to
    """

    key: str
    caption: str
    identity: str
