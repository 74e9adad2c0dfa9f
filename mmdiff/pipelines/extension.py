"""Clips longer than the model's window, made by extending them window by window."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import torch
from torch.nn import functional as F

from mmdiff.conditioning.extend import Extend
from mmdiff.pipelines.codec import MediaEncoder
from mmdiff.pipelines.conditions import Rows, extends_in, restored
from mmdiff.pipelines.output import clips_of
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid


def extended(
    rows: Rows,
    make: Callable[[Rows], ClipLatents],
    encode: MediaEncoder,
    modalities: Sequence[Modality],
) -> ClipLatents:
    """The given clips with what was asked for made behind and before them, as media.

    About half of each window is given (1 + 4k frames of it), and the other half is new; what it
    makes too much of is cut off.

    rows: conditions of each clip, one of them `Extend`.
    make: conditions of each clip of one window -> its media, with the given part exact.
    encode: of one window.
    """
    grid, window = encode.grid, encode.shape.num_frames
    extends = extends_in(rows)
    others = [[one for one in row if not isinstance(one, Extend)] for row in rows]
    _check_sounds(extends, others, grid)
    has_own_sound = not any("audio" in one.modalities for row in others for one in row)

    def made(given: ClipLatents, offset: int, **seconds: float) -> ClipLatents:
        """The window from frame `offset` of the whole clip on, of which `given` is known."""
        known = given if has_own_sound else given.replace("audio", None)
        seen = Fraction(offset) / grid.frame_rate
        return make(
            [
                [Extend(clip, **seconds), *(one.in_window(seen) for one in row)]
                for clip, row in zip(clips_of(known, grid), others, strict=True)
            ]
        )

    media = ClipLatents.cat([_given(one, encode, modalities) for one in extends])
    # of the whole clip: the first frame that is there, their number, and those that are wanted
    start, count = extends[0].frames_before(grid), extends[0].given_frames(grid)
    total = start + count + extends[0].frames_after(grid)
    while (missing := total - start - count) > 0:
        overlap = _overlap(count, window, grid)
        new, taken = window - overlap, min(window - overlap, missing)
        given = _part(media, count - overlap, overlap, grid)
        after = made(given, start + count - overlap, after_seconds=float(new / grid.frame_rate))
        media = _joined(media, _part(after, overlap, taken, grid, beside=count))
        count += taken
    while start > 0:
        overlap = _overlap(count, window, grid)
        new, taken = window - overlap, min(window - overlap, start)
        given = _part(media, 0, overlap, grid)
        before = made(given, start - new, before_seconds=float(new / grid.frame_rate))
        media = _joined(_part(before, new - taken, taken, grid, beside=count), media)
        start, count = start - taken, count + taken
    return restored(media, others, replace(encode, shape=replace(encode.shape, num_frames=count)))


def _check_sounds(extends: Sequence[Extend], others: Rows, grid: LatentGrid) -> None:
    for extend, row in zip(extends, others, strict=True):
        named = [type(one).__name__ for one in row if "audio" in one.modalities]
        if named and "audio" in extend.clip_modalities(grid):
            raise ValueError(
                f"the clip of Extend has sound, and {named[0]} gives another; give Extend the clip "
                f"without its sound, or leave {named[0]} out"
            )


def _given(extend: Extend, encode: MediaEncoder, modalities: Sequence[Modality]) -> ClipLatents:
    given = extend.given(encode.shape, encode.grid)
    video = given.video if "video" in modalities else None
    audio = given.audio if "audio" in modalities else None
    if audio is None and "audio" in modalities:  # another condition gives it
        audio = torch.zeros(1, 1, _samples(extend.given_frames(encode.grid), encode.grid))
    return ClipLatents(video, audio)


def _overlap(count: int, window: int, grid: LatentGrid) -> int:
    """Frames 1 + 4k of `count` that are given to a window: about half of it."""
    step = grid.time_compression
    return 1 + min((window - 1) // (2 * step), (count - 1) // step) * step


def _part(
    media: ClipLatents, first: int, count: int, grid: LatentGrid, *, beside: int | None = None
) -> ClipLatents:
    """`count` frames and their audio. Frames may be no whole numbers of samples: `beside` that many
    other frames, the audio is as long as makes the whole right, if need be by a held last sample.
    """
    video, audio = media.video, media.audio
    if video is not None:
        video = video[:, :, first : first + count]
    if audio is not None:
        start, others = _samples(first, grid), first if beside is None else beside
        length = _samples(others + count, grid) - _samples(others, grid)
        audio = audio[:, :, start : start + length]
        audio = F.pad(audio, (0, length - audio.shape[2]), mode="replicate")
    return ClipLatents(video, audio)


def _joined(first: ClipLatents, second: ClipLatents) -> ClipLatents:
    return first.zip(second, lambda one, other: torch.cat([one, other], dim=2))


def _samples(frames: int, grid: LatentGrid) -> int:
    return round(frames / grid.frame_rate * grid.sample_rate)
