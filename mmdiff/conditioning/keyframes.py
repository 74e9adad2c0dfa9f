"""Keyframes: images at times of the clip; what lies between is made."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from functools import cached_property

import torch
from einops import repeat
from torch import Tensor

from mmdiff.conditioning.condition import Condition, Encode
from mmdiff.conditioning.source import Media, check_source, load_image, sized, with_frames
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents

NAME = "images of Keyframes"
STILL_LATENT_FRAMES = 3  # of an image held still, until its latents no longer change


@dataclass(frozen=True, eq=False)
class Keyframes(Condition):
    """At each number of seconds, the clip shows the image given for it.

    The first latent frame covers one frame and is given exactly. Every other covers several, of
    which the image is one: the latents of the image held still are given at `strength`.

    images: seconds -> a path, a PIL image, height width 3 uint8, or a clip's first frame.
    strength: of images inside the clip, above 0 up to 1; 1 holds the whole latent frame still.
    keep_exact: put the very pixels back after decoding.
    """

    images: Mapping[float, Media]
    strength: float = field(default=0.5, kw_only=True)
    keep_exact: bool = field(default=False, kw_only=True)
    firmness: InitVar[float | None] = field(default=None, kw_only=True)

    modalities = ("video",)

    def __post_init__(self, firmness: float | None) -> None:
        if firmness is not None:
            raise TypeError(f"firmness of Keyframes is now its strength: strength={firmness}")
        if not isinstance(self.images, Mapping) or not self.images:
            raise TypeError(
                f"{NAME} is {self.images!r}; it must name an image for each time: "
                "{0.0: 'first.png', 2.0: 'last.png'}"
            )
        for seconds, image in self.images.items():
            check_number(f"a time in {NAME}", seconds)
            check_source(f"{NAME} at {seconds:g} s", image)
        check_number("strength of Keyframes", self.strength, lowest=0, highest=1)
        if self.strength == 0:
            raise ValueError("strength of Keyframes is 0; it must be above 0 and at most 1: 0.5")

    @cached_property
    def _images(self) -> dict[float, Tensor]:
        return {at: load_image(f"{NAME} at {at:g} s", image) for at, image in self.images.items()}

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        total = encode.grid.latent_frames(encode.shape.num_frames)
        mask = torch.zeros(1, 1, total, 1, 1)
        latents = {}
        for index, (_, image) in sorted(self._at_latent_frames(encode).items()):
            count = 1 if index == 0 else encode.grid.num_frames(STILL_LATENT_FRAMES)
            still = repeat(image, "1 h w c -> frames h w c", frames=count)
            latents[index] = encode.video(still)[:, :, -1:]  # 1 c 1 h w
            mask[:, :, index] = 1 if index == 0 else self.strength
        nothing = torch.zeros_like(next(iter(latents.values())))
        values = torch.cat([latents.get(index, nothing) for index in range(total)], dim=2)
        return state.give("video", values, mask)

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if self.keep_exact:
            for frame, image in self._at_latent_frames(encode).values():
                media = with_frames(media, image, frame)
        return media

    def _at_latent_frames(self, encode: Encode) -> dict[int, tuple[int, Tensor]]:
        """By the latent frame: the number of the frame, and the image in the size of the clip."""
        last, rate = encode.shape.num_frames - 1, float(encode.shape.frame_rate)
        found: dict[int, tuple[int, Tensor]] = {}
        for seconds, image in self._images.items():
            frame = round(seconds * rate)
            if not 0 <= frame <= last:
                raise ValueError(
                    f"{NAME} names {seconds:g} s, outside of the clip, whose frames lie from 0 to "
                    f"{last / rate:g} s: {min(max(seconds, 0.0), last / rate):g}"
                )
            index = -(-frame // encode.grid.time_compression)  # the first covers one frame
            if index in found:
                raise ValueError(
                    f"{NAME} at {found[index][0] / rate:g} s and {seconds:g} s fall into one "
                    f"latent frame; keep them at least {float(encode.grid.slice_seconds):g} s apart"
                )
            found[index] = frame, sized(f"{NAME} at {seconds:g} s", image, encode.shape)
        return found
