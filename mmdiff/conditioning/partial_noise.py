"""PartialNoise: a clip to begin from, known only up to some noise: video-to-video and
audio-to-audio."""

from dataclasses import dataclass

from mmdiff.conditioning.condition import ClipCondition, Encode
from mmdiff.conditioning.placed_audio import PlacedAudio
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.masks import whole_video


@dataclass(frozen=True, eq=False)
class PartialNoise(ClipCondition):
    """The clip is `clip` noised up to `strength`, and made from there (arXiv 2108.01073).

    clip: a path, an array of frames or of samples at the model's rates, or a Clip; each modality
        that it has, and that is made, begins from it.
    strength: of the noise: 0 gives the clip back, 1 gives nothing of it; between, that share of the
        steps is made.
    """

    strength: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("strength of PartialNoise", self.strength, lowest=0, highest=1)

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        source, grid, shape = self._source, encode.grid, encode.shape
        made = state.latents.modalities
        used = [name for name in made if source.has(name, grid)]
        if not used:
            raise ValueError(
                f"{self._name} has nothing of {' and '.join(made)}, which are made; "
                "give a clip that has, or other modalities"
            )
        if self.strength == 1:
            return state
        if "video" in used:
            latents = encode.video(source.fitted_frames(shape, grid))
            state = state.give("video", latents, (1 - self.strength) * whole_video())
        if "audio" in used:
            placed = PlacedAudio.of(source.waveform(grid), first=0, num_samples=shape.num_samples)
            mask = (1 - self.strength) * placed.mask(encode)
            state = state.give("audio", encode.audio(placed.waveform), mask)
        return state
