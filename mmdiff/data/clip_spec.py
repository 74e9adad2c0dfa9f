"""ClipSpec: what clips from files are brought to before they are trained on."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, get_args

from mmdiff.media.footage import exact_rate
from mmdiff.values.checks import check_number, check_sizes
from mmdiff.values.shapes import ClipShape

Presence = Literal["optional", "required", "ignored"]
CHOICES = {
    "crop": ("center", "random"),
    "span": ("first", "random"),
    "video": get_args(Presence),
    "audio": get_args(Presence),
    "stills": ("kept", "dropped"),
}


@dataclass(frozen=True)
class ClipSpec:
    """The shape of all clips of a bucket, and what may be done to a file to reach it.

    num_frames, height, width, frame_rate   the picture; 1 frame takes stills too
    sample_rate           of the sound, which is mono and lasts as long as the frames
    crop, span            which part of a larger picture, of a longer clip: fixed, or drawn anew for
                          every sample number
    video, audio          one that is required is a reason to drop a file without it; one that is
                          ignored is left out
    stills                an image without sound is a clip of one frame, or too short
    max_upscale           a picture that would have to be enlarged by more is too small
    max_padding_seconds   where picture or sound ends earlier by at most this, its last frame is
                          held, or silence is behind it; where earlier still, it is too short

    Raises ValueError naming the field that cannot be.
    """

    num_frames: int = 33
    height: int = 64
    width: int = 64
    frame_rate: Fraction | float = Fraction(16)
    sample_rate: int = 16_000
    crop: Literal["center", "random"] = "center"
    span: Literal["first", "random"] = "first"
    video: Presence = "optional"
    audio: Presence = "optional"
    stills: Literal["kept", "dropped"] = "kept"
    max_upscale: float = 1.5
    max_padding_seconds: float = 0.125

    def __post_init__(self) -> None:
        # 29.97 means 30000/1001: frames of long clips would be off by one otherwise
        object.__setattr__(self, "frame_rate", exact_rate(self.frame_rate))
        for name in ("num_frames", "height", "width", "sample_rate"):
            check_sizes(**{name: getattr(self, name)})
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                found = getattr(self, name)
                raise ValueError(f"{name} is {found!r}; possible are {', '.join(choices)}")
        if self.video == self.audio == "ignored":
            raise ValueError("video and audio are both ignored; nothing would be left of a clip")
        check_number("max_upscale", self.max_upscale, lowest=1)
        check_number("max_padding_seconds", self.max_padding_seconds, lowest=0)

    @property
    def of_stills(self) -> "ClipSpec":
        """What images are brought to; the same where they are no clips of their own."""
        is_kept = self.stills == "kept" and self.video != "ignored" and self.audio != "required"
        return replace(self, num_frames=1, audio="ignored") if is_kept else self

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
