"""Clips longer than the model's window, made by extending them window by window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn import functional as F

from mmdiff.autoencoders.video_autoencoder import to_frames
from mmdiff.conditioning.condition import Condition
from mmdiff.conditioning.extend import Extend
from mmdiff.media.clip import Clip
from mmdiff.pipelines.call_conditions import restored
from mmdiff.pipelines.media_encoder import MediaEncoder
from mmdiff.pipelines.request import GenerationRequest
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid

Rows = Sequence[Sequence[Condition]]
Make = Callable[[Rows], ClipLatents]


def extended(
    rows: Rows, make: Make, encode: MediaEncoder, *, modalities: Sequence[Modality]
) -> ClipLatents:
    """The given clips with what was asked for made behind and before them, as media.

    Half of each window is given (1 + 4k frames of it), and the other half is new; what it makes too
    much of is cut off.

    rows: conditions of each clip, one of them `Extend`.
    make: conditions of each clip of one window -> its media, with the given part exact.
    encode: of one window.
    """
    extends = [_extend_of(row) for row in rows]
    given = ClipLatents.cat([_given(one, encode, modalities) for one in extends])
    count, grid = extends[0].given_frames(encode.grid), encode.grid
    before, after = extends[0].frames_before(grid), extends[0].frames_after(grid)
    whole = _GrowingClip(given, start=before, num_frames=count, grid=grid)
    others = [[one for one in row if not isinstance(one, Extend)] for row in rows]
    _check_sounds(extends, others, grid)
    while whole.start + whole.num_frames < before + count + after:
        left = before + count + after - whole.start - whole.num_frames
        whole = _continued(whole, make, encode, others, at_most=left)
    while whole.start > 0:
        whole = _preceded(whole, make, encode, others)
    shape = replace(encode.shape, num_frames=whole.num_frames)
    return restored(whole.media, others, replace(encode, shape=shape))


def check_extension_request(request: GenerationRequest) -> None:
    """Raise ValueError for arguments that have no meaning where a clip is made in windows."""
    if request.output_type == "latent":
        raise ValueError(
            "output_type is 'latent', and an extended clip is joined as pictures and sound; "
            "it must be 'pil', 'np' or 'pt'"
        )
    for name in ("latents", "audio_latents"):
        if getattr(request, name) is not None:
            raise ValueError(
                f"{name} are given, and a clip is extended in several windows, each of which draws "
                "its own noise; leave them out and give a generator"
            )


@dataclass(frozen=True, eq=False)
class _GrowingClip:
    """What is there of the clips: `media` (frames b 3 frames height width, sound b 1 samples),
    `num_frames` of it, from frame `start` of the whole clip on."""

    media: ClipLatents
    start: int
    num_frames: int
    grid: LatentGrid

    def overlap(self, window: int) -> int:
        """Frames 1 + 4k that are given to a window of `window` frames: about half of it."""
        step = self.grid.time_compression
        return 1 + min((window - 1) // (2 * step), (self.num_frames - 1) // step) * step

    def part(self, first: int, last: int, *, with_sound: bool) -> list[Clip]:
        """Frames first..last, last excluded, as clips."""
        video, audio = self.media.video, self.media.audio if with_sound else None
        samples = slice(_samples(first, self.grid), _samples(last, self.grid))
        return [
            Clip(
                frames=None if video is None else to_frames(video[row : row + 1, :, first:last])[0],
                fps=self.grid.frame_rate,
                waveform=None if audio is None else audio[row][:, samples],
                sample_rate=None if audio is None else self.grid.sample_rate,
            )
            for row in range(self.media.batch_size)
        ]


def _continued(
    whole: _GrowingClip,
    make: Make,
    encode: MediaEncoder,
    others: Sequence[Sequence[Condition]],
    *,
    at_most: int,
) -> _GrowingClip:
    grid, window, end = whole.grid, encode.shape.num_frames, whole.num_frames
    overlap = whole.overlap(window)
    new, seconds = window - overlap, (window - overlap) / grid.frame_rate
    clips = whole.part(end - overlap, end, with_sound=_sound_goes_on(others))
    extends = [Extend(clip, after_seconds=float(seconds)) for clip in clips]
    offset = Fraction(whole.start + end - overlap) / grid.frame_rate
    made = make(_rows(extends, others, offset))
    taken = min(new, at_most)
    sound_length = _samples(end + taken, grid) - _samples(end, grid)
    return replace(
        whole,
        media=ClipLatents(
            _joined(whole.media.video, _frames(made.video, overlap, taken), dim=2),
            _joined(
                whole.media.audio, _cut(made.audio, _samples(overlap, grid), sound_length), dim=2
            ),
        ),
        num_frames=end + taken,
    )


def _preceded(
    whole: _GrowingClip,
    make: Make,
    encode: MediaEncoder,
    others: Sequence[Sequence[Condition]],
) -> _GrowingClip:
    grid, window = whole.grid, encode.shape.num_frames
    overlap = whole.overlap(window)
    new, seconds = window - overlap, (window - overlap) / grid.frame_rate
    clips = whole.part(0, overlap, with_sound=_sound_goes_on(others))
    extends = [Extend(clip, before_seconds=float(seconds)) for clip in clips]
    made = make(_rows(extends, others, Fraction(whole.start - new) / grid.frame_rate))
    taken = min(new, whole.start)
    end, length = _samples(new, grid), _samples(taken, grid)
    return replace(
        whole,
        media=ClipLatents(
            _joined(_frames(made.video, new - taken, taken), whole.media.video, dim=2),
            _joined(_cut(made.audio, end - length, length), whole.media.audio, dim=2),
        ),
        start=whole.start - taken,
        num_frames=whole.num_frames + taken,
    )


def _rows(
    extends: Sequence[Extend], others: Sequence[Sequence[Condition]], offset: Fraction
) -> list[list[Condition]]:
    return [
        [extend, *(one.seen_from(offset) for one in row)]
        for extend, row in zip(extends, others, strict=True)
    ]


def _extend_of(row: Sequence[Condition]) -> Extend:
    return next(one for one in row if isinstance(one, Extend))


def _given(extend: Extend, encode: MediaEncoder, modalities: Sequence[Modality]) -> ClipLatents:
    given = extend.given(encode.shape, encode.grid)
    video = given.video if "video" in modalities else None
    audio = given.audio if "audio" in modalities else None
    if audio is None and "audio" in modalities:  # another condition gives it
        audio = torch.zeros(1, 1, _samples(extend.given_frames(encode.grid), encode.grid))
    return ClipLatents(video, audio)


def _check_sounds(
    extends: Sequence[Extend], others: Sequence[Sequence[Condition]], grid: LatentGrid
) -> None:
    for extend, row in zip(extends, others, strict=True):
        named = [type(one).__name__ for one in row if "audio" in one.modalities]
        if named and "audio" in extend.halves(grid):
            raise ValueError(
                f"the clip of Extend has sound, and {named[0]} gives another; give Extend the clip "
                f"without its sound, or leave {named[0]} out"
            )


def _sound_goes_on(others: Sequence[Sequence[Condition]]) -> bool:
    """Whether the sound that is there is what goes on, and not what another condition gives."""
    return not any("audio" in one.modalities for row in others for one in row)


def _frames(video: Tensor | None, first: int, count: int) -> Tensor | None:
    return None if video is None else video[:, :, first : first + count]


def _cut(audio: Tensor | None, first: int, count: int) -> Tensor | None:
    """`count` samples; where frames are no whole numbers of samples, the last may be held."""
    if audio is None:
        return None
    part = audio[:, :, max(0, first) : max(0, first) + count]
    return F.pad(part, (0, count - part.shape[2]), mode="replicate")


def _joined(first: Tensor | None, second: Tensor | None, *, dim: int) -> Tensor | None:
    if first is None or second is None:
        return None
    return torch.cat([first, second], dim=dim)


def _samples(frames: int, grid: LatentGrid) -> int:
    return round(frames / grid.frame_rate * grid.sample_rate)
