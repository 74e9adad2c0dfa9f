"""The decoded frames of one stream, and the even grid of time they are put on."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from mmdiff.media.clip import exact_rate

LARGEST_DECODED_BYTES = 2**32


class DecodedPictures:
    """Collects frames and their times; every damage it can see is a ValueError that names the file.

    Takes from the stream what it needs at once: its fields are gone when the file is closed.
    """

    def __init__(self, path: Path, stream: av.VideoStream) -> None:
        self.path = path
        self.stated_frames = stream.frames  # 0 where the container does not say
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise ValueError(f"{path} states no frame rate")
        self.rate = exact_rate(rate)
        self.pixels: list[np.ndarray] = []
        self.times: list[Fraction] = []
        self._check_size(max(stream.frames, 1), stream.height, stream.width)

    @property
    def start_seconds(self) -> Fraction:
        return self.times[0] if self.times else Fraction(0)

    @property
    def end_seconds(self) -> Fraction:
        return self.times[-1] + 1 / self.rate if self.times else Fraction(0)

    def add(self, frame: av.VideoFrame) -> None:
        count = len(self.pixels)
        if frame.is_corrupt:
            raise ValueError(f"{self.path} is damaged: frame {count} is corrupt")
        if frame.pts is None or frame.time_base is None:
            raise ValueError(f"{self.path} is damaged: frame {count} has no time")
        if frame.rotation:
            angle = frame.rotation
            raise ValueError(f"{self.path} is stored turned by {angle} degrees; save it upright")
        self._check_size(count + 1, frame.height, frame.width)
        pixels = frame.to_ndarray(format="rgb24")
        if self.pixels and pixels.shape != self.pixels[0].shape:
            raise ValueError(f"{self.path} changes its size at frame {count}")
        self.pixels.append(pixels)
        self.times.append(frame.pts * frame.time_base)

    def frames(self) -> Tensor | None:
        """frames height width 3 on an even grid at `rate`; None where the stream was empty."""
        count = len(self.pixels)
        if count < self.stated_frames:
            raise ValueError(
                f"{self.path} is truncated: {count} of {self.stated_frames} frames could be read"
            )
        if not self.pixels:
            return None
        if any(later < earlier for earlier, later in pairwise(self.times)):
            raise ValueError(f"{self.path} is damaged: its frames are not in the order of time")
        height, width, _ = self.pixels[0].shape
        self._check_size(round((self.times[-1] - self.times[0]) * self.rate), height, width)
        pixels = [self.pixels[index] for index in even_grid(self.times, self.rate)]
        return torch.from_numpy(np.stack(pixels))

    def _check_size(self, num_frames: int, height: int, width: int) -> None:
        size = num_frames * height * width * 3
        if size > LARGEST_DECODED_BYTES:
            raise ValueError(
                f"{self.path} is too large: {num_frames} frames of {height} x {width} are "
                f"{size / 2**30:.1f} GiB decoded, at most {LARGEST_DECODED_BYTES / 2**30:.0f} are "
                "read; cut it into shorter clips"
            )


def even_grid(times: list[Fraction], rate: Fraction) -> list[int]:
    """Index of the frame on the screen at each tick of `rate`, from the first to the last frame.

    Times that are even to half a frame are kept as they are.
    """
    start = times[0]
    if all(abs((time - start) * rate - index) < Fraction(1, 2) for index, time in enumerate(times)):
        return list(range(len(times)))
    count = round((times[-1] - start) * rate) + 1
    seconds = np.array([float(time - start) for time in times])
    ticks = (np.arange(count) + 0.25) / float(rate)  # a quarter: stored times are rounded
    return [int(index) for index in np.searchsorted(seconds, ticks, side="right") - 1]
