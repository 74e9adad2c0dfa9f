"""What of a video is to be painted: a box, an image or a video, as pixels and as latent sites."""

from collections.abc import Sequence
from os import PathLike

import numpy as np
import torch
from einops import rearrange, reduce
from PIL import Image
from torch import Tensor

from mmdiff.conditioning.source import check_source, load
from mmdiff.media.clip import Clip
from mmdiff.media.transparency import ON_WHITE
from mmdiff.values.shapes import LatentGrid

NAME = "mask of Inpaint"
Mask = Sequence[int] | str | PathLike[str] | Image.Image | np.ndarray | Tensor | Clip
LIGHT = 127  # of 255: what is lighter is painted


def check_mask(mask: Mask) -> None:
    """Raise TypeError, ValueError or FileNotFoundError for what can be no mask of any clip."""
    if isinstance(mask, str) or not isinstance(mask, Sequence):
        return check_source(NAME, mask)
    sides: list[int] = list(mask)  # type: ignore[arg-type]
    if len(sides) != 4 or any(isinstance(s, bool) or not isinstance(s, int) for s in sides):
        raise TypeError(
            f"{NAME} is {sides}; a box is four whole numbers of pixels: "
            "[top, left, bottom, right], for instance [16, 16, 48, 48]"
        )
    top, left, bottom, right = sides
    if not (0 <= top < bottom and 0 <= left < right):
        raise ValueError(
            f"{NAME} is the box {sides}; it must rise from top to bottom and from left to right: "
            f"{[min(top, bottom), min(left, right), max(top, bottom), max(left, right)]}"
        )


def painted_pixels(mask: Mask, *, num_frames: int, height: int, width: int) -> Tensor:
    """True where to paint:  frames height width  of the clip.

    Images and videos paint where they are light; arrays where they are not 0 (height width, or
    frames height width).

    Raises ValueError where the mask does not have the size of the clip.
    """
    if isinstance(mask, Sequence) and not isinstance(mask, str):
        top, left, bottom, right = mask
        if bottom > height or right > width:
            inside = [min(top, height), min(left, width), min(bottom, height), min(right, width)]
            raise ValueError(
                f"{NAME} is the box {list(mask)}, and the clip is {width} x {height}; it must lie "
                f"inside: {inside}"
            )
        box = torch.zeros(num_frames, height, width, dtype=torch.bool)
        box[:, top:bottom, left:right] = True
        return box
    painted = _painted(mask)
    if tuple(painted.shape[1:]) != (height, width) or len(painted) not in (1, num_frames):
        count, rows, columns = painted.shape
        plural = "frame" if count == 1 else "frames"
        raise ValueError(
            f"{NAME} is {count} {plural} of {columns} x {rows}, and the clip is {num_frames} "
            f"frames of {width} x {height}; the mask must be of that size, one image or as many"
        )
    return painted.expand(num_frames, height, width)


def painted_cells(painted: Tensor, grid: LatentGrid) -> Tensor:
    """1 for every latent site in which any pixel is painted: 1 1 f h w."""
    time, space = grid.time_compression, grid.space_compression
    padded = torch.cat([painted[:1]] * (time - 1) + [painted])  # the first covers one frame
    cells = reduce(padded.float(), "(f p) (h q) (w r) -> f h w", "max", p=time, q=space, r=space)
    return rearrange(cells, "f h w -> 1 1 f h w")


def _painted(mask: str | PathLike[str] | Image.Image | np.ndarray | Tensor | Clip) -> Tensor:
    loaded = load(NAME, mask)
    if isinstance(loaded, Clip):
        if ON_WHITE in loaded.notes:
            raise ValueError(
                f"{NAME} is transparent in parts; make it opaque: white where to paint, black "
                "elsewhere"
            )
        if loaded.frames is None:
            raise ValueError(f"{NAME} has audio and no video; give an image or a video")
        return loaded.frames.float().mean(-1) > LIGHT
    if loaded.ndim not in (2, 3):
        raise ValueError(
            f"{NAME} has shape {tuple(loaded.shape)}; it must be (height, width) or "
            "(frames, height, width), not 0 where to paint"
        )
    return (loaded != 0) if loaded.ndim == 3 else (loaded != 0)[None]
