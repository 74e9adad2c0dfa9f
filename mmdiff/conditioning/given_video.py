"""GivenVideo: the video is given, the audio is made."""

from dataclasses import dataclass, field

from mmdiff.conditioning.condition import ClipCondition, Encode
from mmdiff.conditioning.source import with_frames
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents
from mmdiff.values.masks import whole_video
from mmdiff.values.shapes import LatentGrid


@dataclass(frozen=True, eq=False)
class GivenVideo(ClipCondition):
    """The whole video is that of `clip`, whose own audio is not used.

    clip: a path, frames height width 3 uint8 at the model's rate, or a Clip.
    keep_exact: the clip shows the very pixels that were given, not their reconstruction.
    """

    keep_exact: bool = field(default=True, kw_only=True)

    modalities = ("video",)

    def audio_frames(self, grid: LatentGrid, *, start_seconds: float = 0.0) -> None:
        return None

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        frames = self._source.fitted_frames(encode.shape, encode.grid)
        return state.give("video", encode.video(frames), whole_video())

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if not self.keep_exact:
            return media
        return with_frames(media, self._source.fitted_frames(encode.shape, encode.grid))
