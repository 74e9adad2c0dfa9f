"""Extend: the clip goes on, and what comes before or behind it is made."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.conditioning import fit, source
from mmdiff.conditioning.clip_source import ClipSource
from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.encode import Encode
from mmdiff.conditioning.placed_sound import PlacedSound
from mmdiff.values.checks import check_number
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.masks import frames_at
from mmdiff.values.shapes import ClipShape, LatentGrid

NAME = "clip of Extend"


@dataclass(frozen=True, eq=False)
class Extend(Condition):
    """`clip` with `before_seconds` made in front of it and `after_seconds` behind it.

    A clip with sound is extended with its sound, one without it as a picture, and a sound as a
    sound. The given pixels and samples come back exactly. Of any length: the pipeline makes window
    after window of the length that its model was trained at; `apply` is one such window.

    clip: a path, an array at the model's rates, or a Clip.
    """

    clip: source.Media
    before_seconds: float = field(default=0.0, kw_only=True)
    after_seconds: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        source.check_source(NAME, self.clip)
        check_number("before_seconds of Extend", self.before_seconds, lowest=0)
        check_number("after_seconds of Extend", self.after_seconds, lowest=0)
        if self.before_seconds == 0 and self.after_seconds == 0:
            raise ValueError(
                "before_seconds and after_seconds of Extend are both 0; say how much to make: "
                "after_seconds=1.0"
            )

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ()

    @cached_property
    def _source(self) -> ClipSource:
        return ClipSource.of(NAME, self.clip)

    def frames_before(self, grid: LatentGrid) -> int:
        """Frames to make in front."""
        return round(self.before_seconds * float(grid.frame_rate))

    def frames_after(self, grid: LatentGrid) -> int:
        """Frames to make behind."""
        return round(self.after_seconds * float(grid.frame_rate))

    def given_frames(self, grid: LatentGrid) -> int:
        """Frames that are given; of a sound, the whole frames that it lasts."""
        if self._source.has_picture(grid):
            return len(self._source.frames(grid))
        samples = self._source.waveform(grid).shape[1]
        frames = samples * grid.frame_rate // grid.sample_rate
        if frames < 1:
            raise ValueError(
                f"{NAME} has {samples} samples, less than a frame of the model; give more of it"
            )
        return int(frames)

    def halves(self, grid: LatentGrid) -> tuple[Modality, ...]:
        """What the clip has of picture and sound."""
        video: tuple[Modality, ...] = ("video",) if self._source.has_picture(grid) else ()
        return (*video, "audio") if self._source.has_sound(grid) else video

    def given(self, shape: ClipShape, grid: LatentGrid) -> ClipLatents:
        """The media that is given, of the size of `shape`: 1 3 frames height width and 1 1 samples,
        both in [-1, 1]."""
        count = self.given_frames(grid)
        video = audio = None
        if self._source.has_picture(grid):
            frames = fit.sized(NAME, self._source.frames(grid), shape)
            video = to_unit_range(frames[None])
        if self._source.has_sound(grid):
            num_samples = round(count / grid.frame_rate * grid.sample_rate)
            waveform = self._source.waveform(grid)
            audio = PlacedSound.of(waveform, first=0, num_samples=num_samples).waveform[None]
        return ClipLatents(video, audio)

    def apply(self, state: LatentState, encode: Encode) -> LatentState:
        grid, shape = encode.grid, encode.shape
        first, count = self._place(encode)
        halves = state.latents.modalities
        if "video" in halves and self._source.has_picture(grid):
            frames = fit.sized(NAME, self._source.frames(grid), shape)
            # what is not known is taken to stand still
            indices = (torch.arange(shape.num_frames) - first).clamp(0, count - 1)
            covered = _covered(grid, first=first, last=first + count, total=shape.num_frames)
            state = state.give("video", encode.video(frames[indices]), covered)
        if "audio" in halves and self._source.has_sound(grid):
            placed = self._sound(encode)
            state = state.give("audio", encode.audio(placed.waveform), placed.mask(encode))
        return state

    def restore(self, media: ClipLatents, encode: Encode) -> ClipLatents:
        grid = encode.grid
        first, count = self._place(encode)
        if media.video is not None and self._source.has_picture(grid):
            frames = fit.sized(NAME, self._source.frames(grid), encode.shape)
            video = media.video.clone()
            video[:, :, first : first + count] = to_unit_range(frames[None]).to(video)
            media = media.replace("video", video)
        if media.audio is not None and self._source.has_sound(grid):
            media = self._sound(encode).put_into(media)
        return media

    def _place(self, encode: Encode) -> tuple[int, int]:
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

    def _sound(self, encode: Encode) -> PlacedSound:
        grid = encode.grid
        first, count = self._place(encode)
        start, end = (
            round(frame / grid.frame_rate * grid.sample_rate) for frame in (first, first + count)
        )
        waveform = self._source.waveform(grid)[:, : end - start]
        return PlacedSound.of(waveform, first=start, num_samples=encode.shape.num_samples)


def _covered(grid: LatentGrid, *, first: int, last: int, total: int) -> Tensor:
    """The latent frames all of whose frames are among first..last, last excluded: 1 1 f 1 1."""
    count = grid.latent_frames(total)
    ends = [grid.num_frames(index + 1) for index in range(count)]
    starts = [0, *ends[:-1]]
    inside = [i for i in range(count) if starts[i] >= first and ends[i] <= last]
    return frames_at(count, inside)
