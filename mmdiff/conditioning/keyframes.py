"""Keyframes: images at given moments of the clip; what lies between is made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from einops import repeat
from torch import Tensor

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.conditioning import fit, source
from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.encode import Encode
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid

NAME = "images of Keyframes"
STILL_LATENT_FRAMES = 3  # of an image held still, until its latents no longer change


@dataclass(frozen=True, eq=False)
class Keyframes(Condition):
    """At each number of seconds, the clip shows the image given for it.

    The first latent frame covers one frame and is given exactly. Every other covers several, of
    which the image is one: the latents of the image held still are given as firmly as `firmness`.

    images: seconds -> a path, a PIL image, height width 3 uint8, or a clip's first frame.
    firmness: of images inside the clip, above 0 up to 1; 1 holds the whole latent frame still.
    keep_exact: put the very pixels back after decoding.
    """

    images: Mapping[float, source.Picture]
    firmness: float = field(default=0.5, kw_only=True)
    keep_exact: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.images, Mapping) or not self.images:
            raise TypeError(
                f"{NAME} is {self.images!r}; it must name an image for each moment: "
                "{0.0: 'first.png', 2.0: 'last.png'}"
            )
        for seconds, image in self.images.items():
            if (
                not isinstance(seconds, (int, float))
                or isinstance(seconds, bool)
                or not math.isfinite(seconds)
            ):
                raise TypeError(f"{NAME} names the moment {seconds!r}; it must be seconds: 0.5")
            source.check_source(f"{NAME} at {seconds:g} s", image, is_picture=True)
        if not 0 < self.firmness <= 1:
            raise ValueError(
                f"firmness of Keyframes is {self.firmness}; it must be above 0 and at most 1: 0.5"
            )

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("video",)

    @cached_property
    def _pictures(self) -> dict[float, Tensor]:
        names = {seconds: f"{NAME} at {seconds:g} s" for seconds in self.images}
        return {
            seconds: source.picture(names[seconds], source.load(names[seconds], image))
            for seconds, image in self.images.items()
        }

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        total = encode.grid.latent_frames(encode.shape.num_frames)
        values: Tensor | None = None
        mask = torch.zeros(1, 1, total, 1, 1)
        taken: dict[int, float] = {}
        for frame, (seconds, picture) in sorted(self._at_frames(encode).items()):
            index = _latent_frame(frame, encode.grid)
            if index in taken:
                raise ValueError(
                    f"{NAME} at {taken[index]:g} s and {seconds:g} s fall into one latent frame; "
                    f"keep them at least {float(encode.grid.slice_seconds):g} s apart"
                )
            taken[index] = seconds
            latents = _still_latents(self._fitted(seconds, picture, encode), encode, index=index)
            if values is None:
                values = latents.new_zeros(1, latents.shape[1], total, *latents.shape[2:])
            values[:, :, index] = latents
            mask[:, :, index] = 1 if index == 0 else self.firmness
        assert values is not None
        return state.give("video", values, mask)

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if not self.keep_exact or media.video is None:
            return media
        frames = media.video.clone()
        for frame, (seconds, picture) in self._at_frames(encode).items():
            fitted = self._fitted(seconds, picture, encode)
            frames[:, :, frame : frame + 1] = to_unit_range(fitted[None]).to(frames)
        return media.replace("video", frames)

    def _at_frames(self, encode: Encode) -> dict[int, tuple[float, Tensor]]:
        last = encode.shape.num_frames - 1
        rate = encode.shape.frame_rate
        found: dict[int, tuple[float, Tensor]] = {}
        for seconds, picture in self._pictures.items():
            frame = round(seconds * float(rate))
            if not 0 <= frame <= last:
                raise ValueError(
                    f"{NAME} names {seconds:g} s, outside of the clip, whose frames lie from 0 to "
                    f"{float(last / rate):g} s: {min(max(seconds, 0.0), float(last / rate)):g}"
                )
            if frame in found:
                raise ValueError(
                    f"{NAME} at {found[frame][0]:g} s and {seconds:g} s fall on one frame; "
                    f"keep them at least {float(encode.grid.slice_seconds):g} s apart"
                )
            found[frame] = (seconds, picture)
        return found

    def _fitted(self, seconds: float, picture: Tensor, encode: Encode) -> Tensor:
        return fit.sized(f"{NAME} at {seconds:g} s", picture, encode.shape)


def _latent_frame(frame: int, grid: LatentGrid) -> int:
    return -(-frame // grid.time_compression)


def _still_latents(picture: Tensor, encode: Encode, *, index: int) -> Tensor:
    """1 c h w of the image as latent frame `index`: alone at first, later held still."""
    count = 1 if index == 0 else encode.grid.num_frames(STILL_LATENT_FRAMES)
    return encode.video(repeat(picture, "1 h w c -> frames h w c", frames=count))[:, :, -1]
