"""GivenVideo: the picture is given, the sound is made."""

from dataclasses import dataclass, field
from functools import cached_property

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.conditioning import source
from mmdiff.conditioning.clip_source import ClipSource
from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.encode import Encode
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.masks import whole_video
from mmdiff.values.shapes import LatentGrid

NAME = "clip of GivenVideo"


@dataclass(frozen=True, eq=False)
class GivenVideo(Condition):
    """The whole picture of the clip is that of `clip`, whose own sound is not used.

    clip: a path, frames height width 3 uint8 at the model's rate, or a Clip.
    keep_exact: the clip shows the very pixels that were given, not their reconstruction.
    """

    clip: source.Media
    keep_exact: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        source.check_source(NAME, self.clip)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("video",)

    @cached_property
    def _source(self) -> ClipSource:
        return ClipSource.of(NAME, self.clip)

    def picture_frames(self, grid: LatentGrid) -> int:
        return self._source.picture_frames(grid)

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        frames = self._source.fitted_frames(encode.shape, encode.grid)
        return state.give("video", encode.video(frames), whole_video())

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if not self.keep_exact or media.video is None:
            return media
        frames = self._source.fitted_frames(encode.shape, encode.grid)
        return media.replace("video", to_unit_range(frames[None]).to(media.video))
