"""Images and gifs through imageio."""

from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from mmdiff.media.clip import Clip

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FASTEST_GIF = 50  # viewers slow down anything below two hundredths of a second


def encode_png(frames: Tensor) -> bytes:
    """All frames side by side, as one image.

    frames  frames height width 3, uint8
    """
    strip = rearrange(frames, "frames height width c -> height (frames width) c")
    return _encode(strip.cpu().numpy(), ".png")


def encode_gif(clip: Clip) -> bytes:
    """An endless gif at the speed of the clip: gifs count hundredths of a second, so the frames'
    lengths vary by one.

    Raises ValueError above 50 frames a second, which viewers do not play.
    """
    if clip.frames is None:
        raise ValueError("a gif needs frames; this clip has sound only")
    if clip.fps > FASTEST_GIF:
        raise ValueError(
            f"fps is {clip.fps}; a gif plays at most {FASTEST_GIF}: change the rate to that"
        )
    ends = [round(index * 100 / clip.fps) for index in range(clip.num_frames + 1)]
    durations = [10 * (end - start) for start, end in pairwise(ends)]
    return _encode(clip.frames.cpu().numpy(), ".gif", duration=durations, loop=0)


def read_image(path: str | PathLike[str]) -> Clip:
    """An image as a clip of one frame. Raises ValueError naming a file that cannot be read."""
    try:
        pixels = iio.imread(Path(path), plugin="pillow", mode="RGB", index=0)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise ValueError(f"{path} is damaged or not an image: {error}") from error
    return Clip(
        frames=rearrange(torch.from_numpy(np.array(pixels)), "height width c -> 1 height width c")
    )


def _encode(pixels: np.ndarray, extension: str, **options: Any) -> bytes:
    encoded: bytes = iio.imwrite("<bytes>", pixels, extension=extension, plugin="pillow", **options)
    return encoded
