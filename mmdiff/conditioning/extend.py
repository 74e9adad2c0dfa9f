"""Extend: the clip goes on, and what comes before or behind it is made."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.conditioning.condition import ClipCondition, Encode
from mmdiff.conditioning.placed_audio import PlacedAudio
from mmdiff.conditioning.source import sized, with_frames
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import MODALITIES, ClipLatents, Modality
from mmdiff.values.masks import frames_at
from mmdiff.values.shapes import ClipShape, LatentGrid


@dataclass(frozen=True, eq=False)
class Extend(ClipCondition):
    """`clip` with `before_seconds` made in front of it and `after_seconds` behind it.

    A clip of both modalities is extended in both, one of video or audio alone in that. The given
    pixels and samples come back exactly. Of any length: the pipeline makes window after window of
    the length that its model was trained at; `apply` is one such window.

    """

    before_seconds: float = field(default=0.0, kw_only=True)
    after_seconds: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("before_seconds of Extend", self.before_seconds, lowest=0)
        check_number("after_seconds of Extend", self.after_seconds, lowest=0)
        if self.before_seconds == 0 and self.after_seconds == 0:
            raise ValueError(
                "before_seconds and after_seconds of Extend are both 0; say how much to make: "
                "after_seconds=1.0"
            )

    def frames_before(self, grid: LatentGrid) -> int:
        """Frames to make in front."""
        return round(self.before_seconds * float(grid.frame_rate))

    def frames_after(self, grid: LatentGrid) -> int:
        """Frames to make behind."""
        return round(self.after_seconds * float(grid.frame_rate))

    def given_frames(self, grid: LatentGrid) -> int:
        """Frames that are given; of audio, the whole frames that it lasts."""
        if self._source.has("video", grid):
            return len(self._source.frames(grid))
        samples = self._source.waveform(grid).shape[1]
        frames = samples * grid.frame_rate // grid.sample_rate
        if frames < 1:
            raise ValueError(
                f"{self._name} has {samples} samples, less than a frame of the model: give more"
            )
        return int(frames)

    def clip_modalities(self, grid: LatentGrid) -> tuple[Modality, ...]:
        """The modalities that the clip has."""
        return tuple(name for name in MODALITIES if self._source.has(name, grid))

    def given(self, shape: ClipShape, grid: LatentGrid) -> ClipLatents:
        """The media that is given, of the size of `shape`: 1 3 frames height width and 1 1 samples,
        both in [-1, 1]."""
        video = audio = None
        if self._source.has("video", grid):
            video = to_unit_range(sized(self._name, self._source.frames(grid), shape)[None])
        if self._source.has("audio", grid):
            num_samples = round(self.given_frames(grid) / grid.frame_rate * grid.sample_rate)
            waveform = self._source.waveform(grid)
            audio = PlacedAudio.of(waveform, first=0, num_samples=num_samples).waveform[None]
        return ClipLatents(video, audio)

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        grid, shape, made = encode.grid, encode.shape, state.latents.modalities
        first, count = self._given_span(encode)
        if "video" in made and self._source.has("video", grid):
            frames = sized(self._name, self._source.frames(grid), shape)
            # what is not known is taken to stand still
            indices = (torch.arange(shape.num_frames) - first).clamp(0, count - 1)
            covered = _covered(grid, first=first, last=first + count, total=shape.num_frames)
            state = state.give("video", encode.video(frames[indices]), covered)
        if "audio" in made and self._source.has("audio", grid):
            placed = self._placed(encode)
            state = state.give("audio", encode.audio(placed.waveform), placed.mask(encode))
        return state

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        if self._source.has("video", encode.grid):
            frames = sized(self._name, self._source.frames(encode.grid), encode.shape)
            media = with_frames(media, frames, self._given_span(encode)[0])
        if self._source.has("audio", encode.grid):
            media = self._placed(encode).put_into(media)
        return media

    def _given_span(self, encode: Encode) -> tuple[int, int]:
        """Where in the window the given frames begin, and how many they are."""
        grid, wanted = encode.grid, encode.shape.num_frames
        count, before = self.given_frames(grid), self.frames_before(grid)
        total = before + count + self.frames_after(grid)
        if total != wanted:
            raise ValueError(
                f"num_frames is {wanted}, and Extend makes {total} of {count} given ones; leave "
                f"num_frames out, or make it {total}"
            )
        return before, count

    def _placed(self, encode: Encode) -> PlacedAudio:
        grid = encode.grid
        first, count = self._given_span(encode)
        start, end = (
            round(frame / grid.frame_rate * grid.sample_rate) for frame in (first, first + count)
        )
        waveform = self._source.waveform(grid)[:, : end - start]
        return PlacedAudio.of(waveform, first=start, num_samples=encode.shape.num_samples)


def _covered(grid: LatentGrid, *, first: int, last: int, total: int) -> Tensor:
    """The latent frames all of whose frames are among first..last, last excluded: 1 1 f 1 1."""
    count = grid.latent_frames(total)
    ends = [grid.num_frames(index + 1) for index in range(count)]
    starts = [0, *ends[:-1]]
    inside = [i for i in range(count) if starts[i] >= first and ends[i] <= last]
    return frames_at(count, inside)
