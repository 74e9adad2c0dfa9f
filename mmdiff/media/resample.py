"""Other sizes, rates and lengths of a clip, by timestamps: pure functions."""

from dataclasses import replace
from fractions import Fraction
from typing import TypeVar

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from mmdiff.media.footage import Footage, exact_rate

ROWS_AT_ONCE = 512
LARGEST_RATIO_PART = 1000  # rates such as 44101 : 16000 would need a filter of gigabytes

Some = TypeVar("Some", bound=Footage)


def resize(frames: Tensor, height: int, width: int) -> Tensor:
    """Scale to `height` x `width`, antialiased bicubic; the same size returns the input exactly.

    frames  frames height width 3, uint8
    """
    _check_size(height, width)
    if frames.shape[1:3] == (height, width):
        return frames
    pixels = rearrange(frames, "frames height width c -> frames c height width")
    # Rows first, some at a time: as floats a large image would take gigabytes.
    parts = [_scaled(part, part.shape[2], width) for part in pixels.split(ROWS_AT_ONCE, dim=2)]
    scaled = _scaled(torch.cat(parts, dim=2), height, width)
    scaled = scaled.round().clamp(0, 255).to(torch.uint8)
    return rearrange(scaled, "frames c height width -> frames height width c")


def crop(
    frames: Tensor, height: int, width: int, *, top: int | None = None, left: int | None = None
) -> Tensor:
    """The box of `height` x `width` at (`top`, `left`), in the middle where they are None.

    Raises ValueError where the box is not inside the frames.
    """
    _check_size(height, width)
    _, old_height, old_width, _ = frames.shape
    top = (old_height - height) // 2 if top is None else top
    left = (old_width - width) // 2 if left is None else left
    if top < 0 or left < 0 or top + height > old_height or left + width > old_width:
        raise ValueError(
            f"a crop of {height} x {width} at ({top}, {left}) does not fit into frames of "
            f"{old_height} x {old_width}; "
            f"at most {min(height, old_height)} x {min(width, old_width)} does"
        )
    return frames[:, top : top + height, left : left + width]


def pad(frames: Tensor, height: int, width: int) -> Tensor:
    """Black borders around the frames, up to `height` x `width`; one more pixel below and right
    where it is uneven."""
    _, old_height, old_width, _ = frames.shape
    if height < old_height or width < old_width:
        raise ValueError(
            f"frames of {old_height} x {old_width} cannot be padded to {height} x {width}; "
            f"to at least {max(height, old_height)} x {max(width, old_width)} they can"
        )
    top, left = (height - old_height) // 2, (width - old_width) // 2
    bottom, right = height - old_height - top, width - old_width - left
    return F.pad(frames, (0, 0, left, right, top, bottom))


def change_fps(clip: Some, fps: Fraction | float) -> Some:
    """Show the same frames at `fps`: each new one is that on the screen at its time.
    The waveform is untouched."""
    rate = exact_rate(fps)
    if clip.frames is None or rate == clip.fps:
        return replace(clip, fps=rate)
    num_frames = max(1, round(clip.video_seconds * rate))
    indices = [int(index / rate * clip.fps) for index in range(num_frames)]
    last = clip.num_frames - 1
    return replace(clip, frames=clip.frames[[min(index, last) for index in indices]], fps=rate)


def resample_waveform(waveform: Tensor, sample_rate: int, new_sample_rate: int) -> Tensor:
    """Band-limited resampling (torchaudio), to a thousandth of a thousandth in the ratio of the
    rates; peaks that the filter pushes over 1 are clamped.

    waveform  channels samples, float32 in [-1, 1]
    """
    ratio = Fraction(sample_rate, new_sample_rate).limit_denominator(LARGEST_RATIO_PART)
    if ratio == 1:
        return waveform
    from torchaudio.functional import resample  # half a second to import

    return resample(waveform, ratio.numerator, ratio.denominator).clamp(-1.0, 1.0)


def _scaled(pixels: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(pixels.float(), (height, width), mode="bicubic", antialias=True)


def _check_size(height: int, width: int) -> None:
    if height < 1 or width < 1:
        raise ValueError(f"the size is {height} x {width}; it must be at least 1 x 1")
