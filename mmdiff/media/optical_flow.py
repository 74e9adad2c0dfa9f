"""Optical flow: where each pixel of a frame is in the next one, without learned weights."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

COARSEST = 12  # pixels of the shorter side that the pyramid ends above
NUM_ITERATIONS = 6  # of each level
WINDOW = 2.0  # pixels, standard deviation of the window in which motion is one, at every level
DAMPING = 2e-4  # squared contrast a pixel under which flat parts keep the coarser motion


def estimate_flow(first: Tensor, second: Tensor, *, levels_left_out: int = 0) -> Tensor:
    """Flow b 2 h w in pixels (x right, y down) with second(p + flow(p)) ~ first(p).

    first, second    b c h w, in [0, 1] or [-1, 1]
    levels_left_out  of the finest; 1 estimates at half the size, in a quarter of the time

    Lucas-Kanade on windows, coarse to fine (Bouguet 2001, "Pyramidal implementation of the affine
    Lucas Kanade feature tracker"), all pixels at once. A step is taken only where it lowers the
    difference in the window; so equal frames have no flow at all, and nothing is made worse.
    No gradient goes through it.

    Raises ValueError unless the frames are of one size.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(
            f"first is {tuple(first.shape)} and second {tuple(second.shape)}; "
            "both must be b c h w of equal size"
        )
    with torch.no_grad():
        levels = _pyramid(torch.cat([first, second]).float())
        flow = torch.zeros_like(levels[-1][: len(first), :1]).repeat(1, 2, 1, 1)
        for level in reversed(levels[min(levels_left_out, len(levels) - 1) :]):
            flow = _refine(_enlarge(flow, level), *level.chunk(2))
        return _enlarge(flow, first).to(first.dtype)


def warp(
    frames: Tensor, flow: Tensor, *, mode: Literal["bilinear", "bicubic"] = "bicubic"
) -> Tensor:
    """frames(p + flow(p)), differentiable in `frames`; beyond the border they are continued.

    frames  b c h w
    flow    b 2 h w, pixels (x, y)
    """
    height, width = frames.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=flow.dtype) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None] + flow[:, 1]
    # to [-1, 1] from the middle of the first pixel to that of the last
    grid = torch.stack([2 * x / max(1, width - 1) - 1, 2 * y / max(1, height - 1) - 1], dim=-1)
    return F.grid_sample(
        frames, grid.to(frames), mode=mode, padding_mode="border", align_corners=True
    )


def _refine(flow: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Some iterations of damped least squares, in each window, of what is left of the motion."""
    warped = warp(second, flow, mode="bilinear")
    error = _windows((warped - first).square().sum(1))
    certainty = _certainty(first)
    around = _windows(certainty)
    for _ in range(NUM_ITERATIONS):
        # from where the frame shows the motion to where it does not: edges, flat parts
        proposed = _windows(certainty * (flow + _step(first, warped).clamp(-1, 1))) / around
        moved = warp(second, proposed, mode="bilinear")
        left = _windows((moved - first).square().sum(1))
        is_better = left < error
        flow = torch.where(is_better[:, None], proposed, flow)
        warped = torch.where(is_better[:, None], moved, warped)
        error = torch.where(is_better, left, error)
    return flow


def _step(first: Tensor, warped: Tensor) -> Tensor:
    """The motion b 2 h w that explains, to first order, what is between the two frames."""
    x, y = _gradient((first + warped) / 2)
    by_time = warped - first
    xx, xy, yy, xt, yt = _products([(x, x), (x, y), (y, y), (x, by_time), (y, by_time)])
    xx, yy = xx + DAMPING, yy + DAMPING
    determinant = xx * yy - xy**2
    return torch.stack([xy * yt - yy * xt, xy * xt - xx * yt], dim=1) / determinant[:, None]


def _certainty(frame: Tensor) -> Tensor:
    """How well a frame shows motion in both directions, as its corners do: b 1 h w."""
    x, y = _gradient(frame)
    xx, xy, yy = _products([(x, x), (x, y), (y, y)])
    return ((xx * yy - xy**2).clamp(min=0) / (xx + yy + DAMPING) + 1e-6)[:, None]


def _products(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
    """Mean in each window of the products of each pair: b h w."""
    return _windows(torch.stack([(one * other).sum(1) for one, other in pairs], dim=1)).unbind(1)


def _windows(values: Tensor) -> Tensor:
    """Mean of ... h w over the window around each pixel; as products of matrices, which are
    several times as fast on a processor as pooling."""
    height, width = values.shape[-2:]
    return _bell(height, values) @ values @ _bell(width, values).T


def _bell(size: int, like: Tensor) -> Tensor:
    """Gaussian weights of each position around each, which sum to 1: size size."""
    position = torch.arange(size, device=like.device, dtype=like.dtype)
    apart = (position[:, None] - position).abs() / WINDOW
    weights = torch.where(apart <= 3, (-apart.square() / 2).exp(), 0.0)
    return weights / weights.sum(1, keepdim=True)


def _gradient(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y, of the size of the frames."""
    padded = F.pad(frames, (1, 1, 1, 1), mode="replicate")
    x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return x, y


def _pyramid(frames: Tensor) -> list[Tensor]:
    """The frames at full size, at a half, a quarter ...: finest first."""
    levels = [frames]
    while min(levels[-1].shape[-2:]) >= 2 * COARSEST:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def _enlarge(flow: Tensor, like: Tensor) -> Tensor:
    """Flow of a coarser level at the size of `like`, in pixels of that size."""
    height, width = like.shape[-2:]
    ratio = torch.tensor([width / flow.shape[-1], height / flow.shape[-2]], device=flow.device)
    larger = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
    return larger * ratio[:, None, None]
