"""ClipSpec: what clips from files are brought to before they are trained on."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, get_args

from mmdiff.media.clip import exact_rate
from mmdiff.values.shapes import ClipShape

Presence = Literal["optional", "required", "ignored"]


@dataclass(frozen=True)
class ClipSpec:
    """The shape of all clips of a bucket, and what may be done to a file to reach it.

    num_frames, height, width, frame_rate   the picture; 1 frame takes stills too
    sample_rate           of the sound, which is mono and lasts as long as the frames
    crop, stretch         which part of a larger picture, of a longer clip: fixed, or drawn anew for
                          every sample number
    picture, sound        a half that is required is a reason to drop a file without it; one that is
                          ignored is left out
    stills                an image without sound is a clip of one frame, or too short
    max_upscale           a picture that would have to be enlarged by more is too small
    max_padding_seconds   a half that ends earlier by at most this has its last frame held, or
                          silence behind it; one that ends earlier still is too short

    Raises ValueError naming the field that cannot be.
    """

    num_frames: int = 33
    height: int = 64
    width: int = 64
    frame_rate: Fraction | float = Fraction(16)
    sample_rate: int = 16_000
    crop: Literal["center", "random"] = "center"
    stretch: Literal["first", "random"] = "first"
    picture: Presence = "optional"
    sound: Presence = "optional"
    stills: Literal["kept", "dropped"] = "kept"
    max_upscale: float = 1.5
    max_padding_seconds: float = 0.125

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame_rate", exact_rate(self.frame_rate))
        for name in ("num_frames", "height", "width", "sample_rate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        _check_choice("crop", self.crop, ("center", "random"))
        _check_choice("stretch", self.stretch, ("first", "random"))
        _check_choice("picture", self.picture, get_args(Presence))
        _check_choice("sound", self.sound, get_args(Presence))
        _check_choice("stills", self.stills, ("kept", "dropped"))
        if self.picture == self.sound == "ignored":
            raise ValueError("picture and sound are both ignored; nothing would be left of a clip")
        if not self.max_upscale >= 1:
            raise ValueError(f"max_upscale is {self.max_upscale}; 1 allows no enlarging at all")
        if not 0 <= self.max_padding_seconds < float("inf"):
            raise ValueError(
                f"max_padding_seconds is {self.max_padding_seconds}; 0 allows no padding at all"
            )

    @property
    def of_stills(self) -> "ClipSpec":
        """What images are brought to; the same where they are no clips of their own."""
        is_kept = self.stills == "kept" and self.picture != "ignored" and self.sound != "required"
        return replace(self, num_frames=1, sound="ignored") if is_kept else self

    @property
    def shape(self) -> ClipShape:
        return ClipShape(self.num_frames, self.height, self.width, self.rate, self.sample_rate)

    @property
    def rate(self) -> Fraction:
        """Frames per second, exact."""
        return Fraction(self.frame_rate)

    @property
    def duration_seconds(self) -> Fraction:
        return self.shape.duration_seconds

    @property
    def num_samples(self) -> int:
        return self.shape.num_samples


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; possible are {', '.join(choices)}")
