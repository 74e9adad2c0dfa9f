"""Find the one object of a clip in each frame: where it is, and the pixels that it covers."""

from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor

from mmdiff.bounce.bounce import HALF_EXTENTS

LEAST_CONTRAST = 35.0  # sRGB distance; an object nearer to its background than this is not seen
FAINT = 0.15  # coverage below this is taken for noise

# of the squared shorter side. True objects have 0.021 (small triangle) to 0.13 (large square)
SMALLEST_AREA, LARGEST_AREA = 0.006, 0.3


@dataclass(frozen=True)
class Track:
    """The object in every frame; x right and y down, in pixels from the upper left corner.

    background  frames 3, sRGB 0-255       color  frames 3, of the object's core
    coverage    frames height width, 0-1   area   frames, pixels
    x, y        frames, the centroid       is_seen  frames, bool
    """

    background: Tensor
    color: Tensor
    coverage: Tensor
    area: Tensor
    x: Tensor
    y: Tensor
    is_seen: Tensor


def track(frames: Tensor) -> Track:
    """Follow the object through `frames height width 3`, uint8."""
    height, width = frames.shape[1:3]
    pixels = rearrange(frames, "f h w c -> c f h w").contiguous().float()  # planes: twice as fast
    background = _background(pixels)  # c f
    offset = pixels - background[:, :, None, None]
    distance = offset.square().sum(0).sqrt()  # f h w
    strongest = max(4, round(0.01 * height * width))
    contrast = rearrange(distance, "f h w -> f (h w)").topk(strongest).values[:, -1]
    is_core = distance > 0.75 * contrast[:, None, None].clamp(min=1)
    core = (offset * is_core).sum((2, 3)) / is_core.sum((1, 2)).clamp(min=1)  # c f

    along = (offset * core[:, :, None, None]).sum(0)
    coverage = (along / core.square().sum(0).clamp(min=1)[:, None, None]).clamp(0, 1)
    coverage = coverage * (coverage > FAINT) * (distance > 0.1 * contrast[:, None, None])
    coverage = coverage * _near_median(coverage, reach=1.6 * HALF_EXTENTS["large"])

    area = reduce(coverage, "f h w -> f", "sum")
    x = (reduce(coverage, "f h w -> f w", "sum") * _centres(width)).sum(-1) / area.clamp(min=1)
    y = (reduce(coverage, "f h w -> f h", "sum") * _centres(height)).sum(-1) / area.clamp(min=1)
    unit = min(height, width) ** 2
    has_size = (area > SMALLEST_AREA * unit) & (area < LARGEST_AREA * unit)
    return Track(
        background=rearrange(background, "c f -> f c"),
        color=rearrange(background + core, "c f -> f c"),
        coverage=coverage,
        area=area,
        x=x,
        y=y,
        is_seen=has_size & (contrast > LEAST_CONTRAST),
    )


def _background(pixels: Tensor) -> Tensor:
    """Median color of each frame's border, which the object covers a small part of: `c f`."""
    rows = torch.cat([pixels[:, :, :2], pixels[:, :, -2:]], dim=2)
    columns = torch.cat([pixels[..., :2], pixels[..., -2:]], dim=3)
    border = [rearrange(part, "c f h w -> c f (h w)") for part in (rows, columns)]
    return torch.cat(border, dim=-1).median(dim=-1).values


def _near_median(coverage: Tensor, *, reach: float) -> Tensor:
    """Whether a pixel is within `reach` (of the shorter side) of the median of what is covered."""
    height, width = coverage.shape[1:]
    solid = (coverage > 0.5).float()
    near = []
    for size, pattern in ((width, "f h w -> f w"), (height, "f h w -> f h")):
        below = reduce(solid, pattern, "sum").cumsum(-1)
        middle = (below < below[:, -1:] / 2).sum(-1) + 0.5
        near.append((_centres(size) - middle[:, None]).abs() <= reach * min(height, width) + 1)
    return near[0][:, None, :] & near[1][:, :, None]


def _centres(size: int) -> Tensor:
    return torch.arange(size) + 0.5
