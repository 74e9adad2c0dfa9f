"""GivenAudio: the audio is given, the video is made."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property

from mmdiff.conditioning.condition import ClipCondition, Encode
from mmdiff.conditioning.placed_audio import PlacedAudio
from mmdiff.conditioning.source import ClipSource, notice
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import LatentGrid


@dataclass(frozen=True, eq=False)
class GivenAudio(ClipCondition):
    """The audio is that of `clip`, as far as it reaches; the rest is made.

    clip: a path, channels samples in [-1, 1], or a Clip, whose video is not used.
    sample_rate: of a waveform given as an array; None: the model's.
    start_seconds: when in the clip it begins; negative: its first seconds are left out.
    keep_exact: the clip has the very samples that were given, not their reconstruction.

    Audio that ends less than a latent frame (a quarter of a second) too early is followed by
    silence.
    """

    start_seconds: float | Fraction = field(default=0.0, kw_only=True)
    sample_rate: int | None = field(default=None, kw_only=True)
    keep_exact: bool = field(default=True, kw_only=True)

    modalities = ("audio",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("start_seconds of GivenAudio", self.start_seconds)

    @cached_property
    def _source(self) -> ClipSource:
        return ClipSource.of(self._name, self.clip, sample_rate=self.sample_rate)

    def video_frames(self, grid: LatentGrid) -> None:
        return None

    def audio_frames(self, grid: LatentGrid, *, start_seconds: float = 0.0) -> int | None:
        return super().audio_frames(grid, start_seconds=float(self.start_seconds))

    def in_window(self, seconds: Fraction) -> "GivenAudio":
        moved = replace(self, start_seconds=Fraction(self.start_seconds) - seconds)
        moved.__dict__["_source"] = self._source  # read once
        return moved

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        placed = self._placed(encode)
        mask = placed.mask(encode)
        if not bool(mask.any()):
            raise ValueError(
                f"{self._name} is inside the clip for {placed.last - placed.first} samples only, "
                "from which no token of audio follows; give more of it, or another start_seconds"
            )
        return state.give("audio", encode.audio(placed.waveform), mask)

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        return self._placed(encode).put_into(media) if self.keep_exact else media

    def _placed(self, encode: Encode) -> PlacedAudio:
        grid, shape = encode.grid, encode.shape
        waveform, rate = self._source.waveform(grid), grid.sample_rate
        first = round(self.start_seconds * rate)
        placed = PlacedAudio.of(waveform, first=first, num_samples=shape.num_samples)
        begin, end = (sample / rate for sample in (first, first + waveform.shape[1]))
        if placed.first == placed.last:
            raise ValueError(
                f"{self._name} lies from {begin:g} s to {end:g} s, outside of the clip, which lies "
                f"from 0 to {float(shape.duration_seconds):g} s: start_seconds=0 begins with it"
            )
        missing = shape.num_samples - placed.last
        if missing == 0 and end > shape.duration_seconds + 1 / rate:
            notice(f"{self._name} ends at {end:g} s; it is cut where the clip ends")
        if 0 < missing < grid.slice_seconds * rate:
            notice(f"{self._name} ends at {end:g} s; silence follows up to the end of the clip")
            return replace(placed, last=shape.num_samples)
        if missing:
            notice(f"{self._name} ends at {end:g} s; the audio behind it is made")
        return placed
