"""FirstFrame: the clip begins with this image."""

from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor
from torch.nn import functional as F

from mmdiff.conditioning.condition import Condition, Encode
from mmdiff.conditioning.source import Media, check_source, load_image, sized, with_frames
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents
from mmdiff.values.masks import frames_at

NAME = "image of FirstFrame"


@dataclass(frozen=True, eq=False)
class FirstFrame(Condition):
    """The first frame of the clip is `image`: the first latent frame is its latents, exactly.

    image: a path, a PIL image, height width 3 uint8, or a clip, of which the first frame counts.
    keep_exact: put its very pixels back after decoding.
    """

    image: Media
    keep_exact: bool = field(default=False, kw_only=True)

    modalities = ("video",)

    def __post_init__(self) -> None:
        check_source(NAME, self.image)

    @cached_property
    def _image(self) -> Tensor:
        return load_image(NAME, self.image)

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        total = encode.grid.latent_frames(encode.shape.num_frames)
        latents = encode.video(sized(NAME, self._image, encode.shape))
        values = F.pad(latents, (0, 0, 0, 0, 0, total - latents.shape[2]))
        return state.give("video", values, frames_at(total, [0]))

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if not self.keep_exact:
            return media
        return with_frames(media, sized(NAME, self._image, encode.shape))
