"""Which of the world's shapes an object has, and how large it is, from all frames together."""

from dataclasses import dataclass

import torch
from einops import reduce
from torch import Tensor

from mmdiff.bounce.bounce import CHOICES, HALF_EXTENTS, TRIANGLE_HEIGHT
from mmdiff.bounce.draw import signed_distance
from mmdiff.bounce.tracking import Track

# area over the squared half extent
AREAS = {"circle": torch.pi, "square": 4.0, "triangle": 2 * TRIANGLE_HEIGHT}

# how far the centroid lies below the centre of the box, in half extents
CENTROIDS = {"circle": 0.0, "square": 0.0, "triangle": TRIANGLE_HEIGHT / 3}
TRUST = 8  # a frame's vote weighs its best overlap to this power: sharp frames outvote torn ones


@dataclass(frozen=True)
class Outline:
    """What all frames say: `overlap` is that of the best shape, `half_extent` a fraction."""

    shape: str
    size: str
    half_extent: float
    overlap: float


def read_outline(track: Track) -> Outline:
    """Lay each shape, at the object's own area and centroid, over it; the best overlap wins."""
    seen = track.is_seen
    coverage, area = track.coverage[seen], track.area[seen]
    height, width = coverage.shape[1:]
    from_x = (torch.arange(width) + 0.5 - track.x[seen, None])[:, None, :]
    from_y = (torch.arange(height) + 0.5 - track.y[seen, None])[:, :, None]
    names = CHOICES["shape"]
    halves = [(area / AREAS[name]).sqrt() for name in names]
    overlaps = torch.stack(
        [
            _overlap(coverage, name, from_x, from_y, half=half[:, None, None])
            for name, half in zip(names, halves, strict=True)
        ]
    )
    x, y, reach = track.x[seen], track.y[seen], 1.3 * halves[0]
    is_away_from_walls = (x > reach) & (width - x > reach) & (y > reach) & (height - y > reach)
    votes = overlaps.amax(0) ** TRUST * torch.where(is_away_from_walls, 1.0, 0.1)
    shares = (overlaps * votes).sum(-1) / votes.sum()
    best = int(shares.argmax())
    half_extent = _weighted_median(halves[best], votes) / min(height, width)
    threshold = (HALF_EXTENTS["small"] * HALF_EXTENTS["large"]) ** 0.5
    size = "small" if half_extent < threshold else "large"
    return Outline(names[best], size, half_extent, overlap=float(shares[best]))


def _overlap(
    coverage: Tensor, shape: str, from_x: Tensor, from_y: Tensor, *, half: Tensor
) -> Tensor:
    """Intersection over union of the soft masks, one number a frame."""
    from_box = from_y + CENTROIDS[shape] * half
    ideal = (0.5 - signed_distance(shape, from_x, from_box, half=half)).clamp(0, 1)
    both = reduce(torch.minimum(coverage, ideal), "f h w -> f", "sum")
    either = reduce(torch.maximum(coverage, ideal), "f h w -> f", "sum")
    return both / either.clamp(min=1)


def _weighted_median(values: Tensor, weights: Tensor) -> float:
    order = values.argsort()
    below = weights[order].cumsum(0)
    return float(values[order][int((below < below[-1] / 2).sum())])
