"""Inpaint: a part of the video, or a span of the audio, is made again."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field

import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.conditioning.condition import ClipCondition, Encode
from mmdiff.conditioning.paint_mask import (
    LIGHT,
    Mask,
    check_mask,
    painted_cells,
    painted_pixels,
)
from mmdiff.conditioning.placed_audio import PlacedAudio
from mmdiff.conditioning.source import ClipSource
from mmdiff.media.clip import Clip
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid


@dataclass(frozen=True, eq=False)
class Inpaint(ClipCondition):
    """`clip` is given, but for what `mask` and `seconds` name. What they leave alone stays: its
    audio where only the video is masked, its video where only a span of audio is.

    mask: what of the video to paint: a box [top, left, bottom, right] in pixels, an image or a
        video of the clip's size (white: paint), or an array (height width, or frames height width;
        not 0: paint); None: nothing.
    seconds: the span of the audio to make again, [first, last]; None: nothing.
    outside: paint all but the mask (outpainting).
    edge_strength: 0 to 1, at which the latent sites beside the painted ones are given: their
        latents know a little of what was inside.
    keep_exact: put the very pixels and samples that were not to be painted back after decoding.
    """

    mask: Mask | None = None
    seconds: Sequence[float] | None = field(default=None, kw_only=True)
    outside: bool = field(default=False, kw_only=True)
    edge_strength: float = field(default=0.5, kw_only=True)
    keep_exact: bool = field(default=False, kw_only=True)
    edge_firmness: InitVar[float | None] = field(default=None, kw_only=True)

    def __post_init__(self, edge_firmness: float | None) -> None:
        if edge_firmness is not None:
            now = f"edge_strength={edge_firmness}"
            raise TypeError(f"edge_firmness of Inpaint is now its edge_strength: {now}")
        super().__post_init__()
        if self.mask is None and self.seconds is None:
            raise ValueError(
                "mask and seconds of Inpaint are both None; name what to paint: "
                "mask=[16, 16, 48, 48], or seconds=[0.5, 1.0]"
            )
        if self.mask is not None:
            check_mask(self.mask)
        if self.seconds is not None:
            _check_span(self.seconds)
        check_number("edge_strength of Inpaint", self.edge_strength, lowest=0, highest=1)

    @property
    def modalities(self) -> tuple[Modality, ...]:
        video: tuple[Modality, ...] = () if self.mask is None else ("video",)
        return video if self.seconds is None else (*video, "audio")

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        if self._is_given("video", state.latents, encode.grid):
            frames = self._source.fitted_frames(encode.shape, encode.grid)
            cells = painted_cells(self._painted(encode), encode.grid)
            beside = F.max_pool3d(cells, (1, 3, 3), stride=1, padding=(0, 1, 1))
            edge = torch.where(beside > 0, self.edge_strength, 1.0)
            mask = torch.where(cells > 0, 0.0, edge)
            state = state.give("video", encode.video(frames), mask)
        if self._is_given("audio", state.latents, encode.grid):
            kept = self._kept_audio(encode)
            mask = torch.stack([part.mask(encode) for part in kept]).amax(0)
            state = state.give("audio", encode.audio(kept[0].waveform), mask)
        return state

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if not self.keep_exact:
            return media
        if media.video is not None and self._is_given("video", media, encode.grid):
            frames = self._source.fitted_frames(encode.shape, encode.grid)
            given = to_unit_range(frames[None]).to(media.video)
            painted = rearrange(self._painted(encode), "frames h w -> 1 1 frames h w")
            painted = painted.to(media.video.device)
            media = media.replace("video", torch.where(painted, media.video, given))
        if self._is_given("audio", media, encode.grid):
            for part in self._kept_audio(encode):
                media = part.put_into(media)
        return media

    def _is_given(self, modality: Modality, made: ClipLatents, grid: LatentGrid) -> bool:
        """Whether the clip gives something of a modality that is made; what is painted of one that
        it lacks is refused when it is read."""
        asked = modality in self.modalities or self._source.has(modality, grid)
        return modality in made.modalities and asked

    def _painted(self, encode: Encode) -> Tensor:
        """True where to paint:  frames height width  of the clip that is made."""
        shape = encode.shape
        if self.mask is None:
            return torch.zeros(shape.num_frames, shape.height, shape.width, dtype=torch.bool)
        original = self._source.clip(encode.grid)
        count, height, width = original.shape
        painted = painted_pixels(self.mask, num_frames=count, height=height, width=width)
        painted = ~painted if self.outside else painted
        # as a video of white where to paint, it is fitted as the clip is
        white = repeat(painted.to(torch.uint8) * 255, "frames h w -> frames h w c", c=3)
        fitted = ClipSource(self._name, Clip(frames=white, fps=original.fps))
        return fitted.fitted_frames(shape, encode.grid)[..., 0] > LIGHT

    def _kept_audio(self, encode: Encode) -> list[PlacedAudio]:
        """The spans of audio that are not to be painted, each in the waveform of the whole clip."""
        rate, total = encode.grid.sample_rate, encode.shape.num_samples
        whole = PlacedAudio.of(self._source.waveform(encode.grid), first=0, num_samples=total)
        if self.seconds is None:
            return [whole]
        first, last = (round(second * rate) for second in self.seconds)
        if last > total:
            raise ValueError(
                f"seconds of Inpaint is {list(self.seconds)}; the clip lasts "
                f"{total / rate:g} s: {[min(s, total / rate) for s in self.seconds]}"
            )
        before = PlacedAudio(whole.waveform, 0, min(first, whole.last))
        behind = PlacedAudio(whole.waveform, min(last, whole.last), whole.last)
        return [part for part in (before, behind) if part.last > part.first] or [before]


def _check_span(seconds: Sequence[float]) -> None:
    if isinstance(seconds, str) or not isinstance(seconds, Sequence) or len(seconds) != 2:
        raise TypeError(f"seconds of Inpaint is {seconds!r}; it must be two numbers: [0.5, 1.0]")
    for second in seconds:
        check_number("seconds of Inpaint", second, lowest=0)
    if not seconds[0] < seconds[1]:
        raise ValueError(
            f"seconds of Inpaint is {list(seconds)}; the first must come before the last: "
            f"{sorted(seconds)}"
        )
