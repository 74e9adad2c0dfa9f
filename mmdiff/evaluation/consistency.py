"""Consistency: how steady a clip is: flicker, warp error, drift of its colors, range of motion."""

import math

import torch
from einops import rearrange, reduce
from torch import Tensor

from mmdiff.evaluation.reconstruction import flicker as flicker_at_fixed_pixels
from mmdiff.media.optical_flow import estimate_flow, warp


def warp_error(frames: Tensor) -> float:
    """Mean absolute difference, of 255, of each frame from the next one brought back along the
    estimated motion (arXiv 1808.00449, section 4), of `frames height width 3`, uint8, two or more.

    What moves without changing hardly shows in it; what is left on true clips, about 0.1, is from
    edges that fall between pixels.
    """
    images = _images(frames)
    flow = estimate_flow(images[:-1], images[1:])
    error = warp(images[1:], flow) - images[:-1]
    return float(255 * error.abs().mean())


def flicker(frames: Tensor) -> float:
    """Mean absolute second difference in time, of 255, along the estimated motion, of
    `frames height width 3`, uint8, three or more: what comes and goes, but neither motion nor what
    fades evenly.

    `reconstruction.flicker` is the same at fixed pixels, for clips that are compared with originals
    of equal motion.
    """
    images = _images(frames)
    before, middle, after = images[:-2], images[1:-1], images[2:]
    before = warp(before, estimate_flow(middle, before))
    after = warp(after, estimate_flow(middle, after))
    return 255 * flicker_at_fixed_pixels(torch.stack([before, middle, after]))


def color_drift(frames: Tensor) -> float:
    """How far the mean color of `frames height width 3`, uint8, goes over the clip, as a distance
    in sRGB, 0-255: the robust slope of each channel times the length. NaN of fewer than 3 frames.
    """
    if len(frames) < 3:
        return math.nan
    colors = reduce(frames.float(), "f h w c -> f c", "mean")
    # Theil-Sen: the median of the slopes of all pairs, which a few other frames hardly change
    first, second = torch.triu_indices(len(colors), len(colors), offset=1)
    slopes = (colors[second] - colors[first]) / (second - first)[:, None]
    ordered = slopes.sort(dim=0).values
    median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return float((median * (len(colors) - 1)).square().sum().sqrt())


def motion_range(x: Tensor, y: Tensor) -> float:
    """How far a point gets, so that steadier does not mean frozen: the diagonal of the box of its
    path `x`, `y`, in their units. 0 of no points."""
    if not len(x):
        return 0.0
    spans = torch.stack([track.max() - track.min() for track in (x, y)])
    return float(spans.square().sum().sqrt())


def _images(frames: Tensor) -> Tensor:
    return rearrange(frames.float() / 255, "f h w c -> f c h w")
