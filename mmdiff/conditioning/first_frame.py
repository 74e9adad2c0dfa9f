"""FirstFrame: the clip begins with this image."""

from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor
from torch.nn import functional as F

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.conditioning import fit, source
from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.encode import Encode
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.masks import frames_at


@dataclass(frozen=True, eq=False)
class FirstFrame(Condition):
    """The first frame of the clip is `image`: the first latent frame is its latents, exactly.

    image: a path, a PIL image, height width 3 uint8, or a clip, of which the first frame counts.
    keep_exact: put its very pixels back after decoding.
    """

    image: source.Picture
    keep_exact: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        source.check_source("image of FirstFrame", self.image, is_picture=True)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("video",)

    @cached_property
    def _picture(self) -> Tensor:
        name = "image of FirstFrame"
        return source.picture(name, source.load(name, self.image))

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        total = encode.grid.latent_frames(encode.shape.num_frames)
        latents = encode.video(self._fitted(encode))
        values = F.pad(latents, (0, 0, 0, 0, 0, total - latents.shape[2]))
        return state.give("video", values, frames_at(total, [0]))

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if not self.keep_exact or media.video is None:
            return media
        frames = media.video.clone()
        frames[:, :, :1] = to_unit_range(self._fitted(encode)[None]).to(frames)
        return media.replace("video", frames)

    def _fitted(self, encode: Encode) -> Tensor:
        return fit.sized("image of FirstFrame", self._picture, encode.shape)
