"""Inpaint: a part of the picture, or a stretch of the sound, is made again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.conditioning import paint_mask, source
from mmdiff.conditioning.clip_source import ClipSource
from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.encode import Encode
from mmdiff.conditioning.placed_sound import PlacedSound
from mmdiff.media.clip import Clip
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid

NAME = "clip of Inpaint"


@dataclass(frozen=True, eq=False)
class Inpaint(Condition):
    """`clip` is given, but for what `mask` and `seconds` name. What they leave alone stays: its
    sound where only the picture is masked, its picture where only a stretch of sound is.

    clip: a path, an array at the model's rates, or a Clip.
    mask: what of the picture to paint: a box [top, left, bottom, right] in pixels, an image or a
        video of the clip's size (white: paint), or an array (height width, or frames height width;
        not 0: paint); None: nothing.
    seconds: the stretch of the sound to make again, [first, last]; None: nothing.
    outside: paint all but the mask (outpainting).
    edge_firmness: 0 to 1, how firmly the latent sites beside the painted ones are given: their
        latents know a little of what was inside.
    keep_exact: put the very pixels and samples that were not to be painted back after decoding.
    """

    clip: source.Media
    mask: paint_mask.Mask | None = None
    seconds: Sequence[float] | None = field(default=None, kw_only=True)
    outside: bool = field(default=False, kw_only=True)
    edge_firmness: float = field(default=0.5, kw_only=True)
    keep_exact: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        source.check_source(NAME, self.clip)
        if self.mask is None and self.seconds is None:
            raise ValueError(
                "mask and seconds of Inpaint are both None; name what to paint: "
                "mask=[16, 16, 48, 48], or seconds=[0.5, 1.0]"
            )
        if self.mask is not None:
            paint_mask.check_mask(self.mask)
        if self.seconds is not None:
            self._check_seconds(self.seconds)
        check_number("edge_firmness of Inpaint", self.edge_firmness, lowest=0, highest=1)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        video: tuple[Modality, ...] = () if self.mask is None else ("video",)
        return video if self.seconds is None else (*video, "audio")

    @cached_property
    def _source(self) -> ClipSource:
        return ClipSource.of(NAME, self.clip)

    def picture_frames(self, grid: LatentGrid) -> int | None:
        return self._source.picture_frames(grid) if self._source.has_picture(grid) else None

    def sound_frames(self, grid: LatentGrid) -> int | None:
        return self._source.sound_frames(grid) if self._source.has_sound(grid) else None

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        halves = state.latents.modalities
        if "video" in halves and self._has_picture(encode.grid):
            frames = self._source.fitted_frames(encode.shape, encode.grid)
            state = state.give("video", encode.video(frames), self._picture_mask(encode))
        if "audio" in halves and self._has_sound(encode.grid):
            placed = self._sounds(encode)
            mask = torch.stack([part.mask(encode) for part in placed]).amax(0)
            whole = self._whole_sound(encode).waveform
            state = state.give("audio", encode.audio(whole), mask)
        return state

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if not self.keep_exact:
            return media
        if media.video is not None and self._has_picture(encode.grid):
            frames = self._source.fitted_frames(encode.shape, encode.grid)
            given = to_unit_range(frames[None]).to(media.video)
            painted = rearrange(self._painted(encode), "frames h w -> 1 1 frames h w")
            painted = painted.to(media.video.device)
            media = media.replace("video", torch.where(painted, media.video, given))
        if media.audio is not None and self._has_sound(encode.grid):
            for part in self._sounds(encode):
                media = part.put_into(media)
        return media

    def _has_picture(self, grid: LatentGrid) -> bool:
        return self.mask is not None or self._source.has_picture(grid)

    def _has_sound(self, grid: LatentGrid) -> bool:
        return self.seconds is not None or self._source.has_sound(grid)

    def _picture_mask(self, encode: Encode) -> Tensor:
        grid = encode.grid
        cells = paint_mask.painted_cells(
            self._painted(encode), space=grid.space_compression, time=grid.time_compression
        )
        ring = paint_mask.with_ring(cells)
        return torch.where(cells > 0, 0.0, torch.where(ring > 0, self.edge_firmness, 1.0))

    def _painted(self, encode: Encode) -> Tensor:
        """True where to paint:  frames height width  of the clip that is made."""
        shape = encode.shape
        if self.mask is None:
            return torch.zeros(shape.num_frames, shape.height, shape.width, dtype=torch.bool)
        original = self._source.original(encode.grid)
        count, height, width = original.shape
        painted = paint_mask.painted_pixels(self.mask, num_frames=count, height=height, width=width)
        white = paint_mask.as_frames(~painted if self.outside else painted)
        fitted = ClipSource(NAME, Clip(frames=white, fps=original.fps))
        return paint_mask.from_frames(fitted.fitted_frames(shape, encode.grid))

    def _whole_sound(self, encode: Encode) -> PlacedSound:
        waveform = self._source.waveform(encode.grid)
        return PlacedSound.of(waveform, first=0, num_samples=encode.shape.num_samples)

    def _sounds(self, encode: Encode) -> list[PlacedSound]:
        """The stretches of sound that are not to be painted."""
        whole = self._whole_sound(encode)
        if self.seconds is None:
            return [whole]
        rate, total = encode.grid.sample_rate, encode.shape.num_samples
        first, last = (round(second * rate) for second in self.seconds)
        if last > total:
            raise ValueError(
                f"seconds of Inpaint is {list(self.seconds)}; the clip lasts "
                f"{total / rate:g} s: {[min(s, total / rate) for s in self.seconds]}"
            )
        before = PlacedSound(whole.waveform, 0, min(first, whole.last))
        behind = PlacedSound(whole.waveform, min(last, whole.last), whole.last)
        return [part for part in (before, behind) if part.last > part.first] or [before]

    @staticmethod
    def _check_seconds(seconds: Sequence[float]) -> None:
        if isinstance(seconds, str) or not isinstance(seconds, Sequence) or len(seconds) != 2:
            raise TypeError(
                f"seconds of Inpaint is {seconds!r}; it must be two numbers: [0.5, 1.0]"
            )
        for second in seconds:
            check_number("seconds of Inpaint", second, lowest=0)
        if not seconds[0] < seconds[1]:
            raise ValueError(
                f"seconds of Inpaint is {list(seconds)}; the first must come before the last: "
                f"{sorted(seconds)}"
            )
