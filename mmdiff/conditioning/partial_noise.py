"""PartialNoise: a clip to begin from, known only up to some noise: video-to-video and
audio-to-audio."""

from dataclasses import dataclass
from functools import cached_property

from mmdiff.conditioning import source
from mmdiff.conditioning.clip_source import ClipSource
from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.encode import Encode
from mmdiff.conditioning.placed_sound import PlacedSound
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.masks import whole_video
from mmdiff.values.shapes import LatentGrid

NAME = "clip of PartialNoise"


@dataclass(frozen=True, eq=False)
class PartialNoise(Condition):
    """The clip is `clip` noised up to `strength`, and made from there (arXiv 2108.01073).

    clip: a path, an array of frames or of sound at the model's rates, or a Clip; each half that it
        has, and that is made, begins from it.
    strength: 0 gives it back, 1 gives nothing of it; between, that share of the steps is made.
    """

    clip: source.Media
    strength: float

    def __post_init__(self) -> None:
        source.check_source(NAME, self.clip)
        check_number("strength of PartialNoise", self.strength, lowest=0, highest=1)

    @cached_property
    def _source(self) -> ClipSource:
        return ClipSource.of(NAME, self.clip)

    def picture_frames(self, grid: LatentGrid) -> int | None:
        return self._source.picture_frames(grid) if self._source.has_picture(grid) else None

    def sound_frames(self, grid: LatentGrid) -> int | None:
        return self._source.sound_frames(grid) if self._source.has_sound(grid) else None

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        held, grid, shape = self._source, encode.grid, encode.shape
        firmness = 1 - self.strength
        halves = state.latents.modalities
        has_picture = "video" in halves and held.has_picture(grid)
        has_sound = "audio" in halves and held.has_sound(grid)
        if not has_picture and not has_sound:
            raise ValueError(
                f"{NAME} has nothing of {' and '.join(halves)}, which are made; "
                "give a clip that has, or other modalities"
            )
        if self.strength == 1:
            return state
        if has_picture:
            latents = encode.video(held.fitted_frames(shape, grid))
            state = state.give("video", latents, firmness * whole_video())
        if has_sound:
            placed = PlacedSound.of(held.waveform(grid), first=0, num_samples=shape.num_samples)
            mask = firmness * placed.mask(encode)
            state = state.give("audio", encode.audio(placed.waveform), mask)
        return state
