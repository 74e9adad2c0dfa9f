"""Consistency: how steady a clip is: flicker, warp error, drift of the object, its track."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.evaluation.reconstruction import flicker as second_difference
from mmdiff.evaluation.result import Figure, Result
from mmdiff.media.optical_flow import estimate_flow, warp

AROUND = 5
"""Frames around each one whose median change of velocity is the motion's own, as gravity is."""


class Followed(Protocol):
    """The object in every frame; x right and y down, in pixels.

    color  frames 3, sRGB 0-255       area     frames, pixels
    x, y   frames, the centroid       is_seen  frames, bool
    """

    @property
    def color(self) -> Tensor: ...

    @property
    def area(self) -> Tensor: ...

    @property
    def x(self) -> Tensor: ...

    @property
    def y(self) -> Tensor: ...

    @property
    def is_seen(self) -> Tensor: ...


def warp_error(frames: Tensor) -> float:
    """Mean absolute difference, of 255, of each frame from the next one brought back along the
    estimated motion (arXiv 1808.00449, section 4), of `frames height width 3`, uint8.

    What moves without changing hardly shows in it; what is left on true clips, about 0.1, is from
    edges that fall between pixels.
    """
    _check_length(frames, least=2, measure="warp error")
    pictures = _pictures(frames)
    flow = estimate_flow(pictures[:-1], pictures[1:])
    error = warp(pictures[1:], flow) - pictures[:-1]
    return float(255 * error.abs().mean())


def flicker(frames: Tensor) -> float:
    """Mean absolute second difference in time, of 255, along the estimated motion, of
    `frames height width 3`, uint8: what comes and goes, but neither motion nor what fades evenly.

    `reconstruction.flicker` is the same at fixed pixels, for clips that are compared with originals
    of equal motion.
    """
    _check_length(frames, least=3, measure="flicker")
    pictures = _pictures(frames)
    before, middle, after = pictures[:-2], pictures[1:-1], pictures[2:]
    before = warp(before, estimate_flow(middle, before))
    after = warp(after, estimate_flow(middle, after))
    return 255 * second_difference(torch.stack([before, middle, after]))


def color_drift(track: Followed) -> float:
    """How far the color of the object goes over the clip, as a distance in sRGB, 0-255: the
    robust slope of each channel times the length. NaN if it is seen in fewer than 3 frames."""
    slopes = _slopes(track.color, track.is_seen)
    return float((slopes * (len(track.is_seen) - 1)).square().sum().sqrt())


def frame_color_drift(frames: Tensor) -> float:
    """The same of the mean color of whole frames, of `frames height width 3`, uint8."""
    means = frames.float().mean(dim=(1, 2))
    slopes = _slopes(means, torch.ones(len(means), dtype=torch.bool))
    return float((slopes * (len(means) - 1)).square().sum().sqrt())


def size_drift(track: Followed) -> float:
    """How much larger or smaller the object gets over the clip, in percent of its extent (half the
    slope of the logarithm of its area). NaN if it is seen in fewer than 3 frames."""
    extent = track.area.clamp(min=1).log()[:, None] / 2
    slope = float(_slopes(extent, track.is_seen))
    return 100 * math.expm1(abs(slope) * (len(track.is_seen) - 1))


def track_jitter(track: Followed) -> float:
    """How rough the path of the centroid is, in pixels: median second difference over all frames.

    Steady acceleration, as in falling, is taken off (the median around each frame), and impacts are
    few: neither shows in the median. NaN if there are fewer than 3 frames in a row.
    """
    place = torch.stack([track.x, track.y], dim=-1)
    is_whole = track.is_seen[2:] & track.is_seen[1:-1] & track.is_seen[:-2]
    turns = (place[2:] - 2 * place[1:-1] + place[:-2])[is_whole]
    if not len(turns):
        return math.nan
    around = min(AROUND, len(turns) - 1 + len(turns) % 2)
    padded = torch.nn.functional.pad(turns.T[None], (around // 2, around // 2), mode="replicate")
    steady = padded[0].unfold(-1, around, 1).median(-1).values.T
    return float((turns - steady).square().sum(-1).sqrt().median())


def motion_range(track: Followed) -> float:
    """How far the centroid gets in the clip, in pixels, so that steadier does not mean frozen: the
    diagonal of the box of its path. 0 if the object is never seen."""
    seen = track.is_seen
    return centroid_range(track.x[seen], track.y[seen]) if bool(seen.any()) else 0.0


def consistency(clips: Sequence[Tensor], tracks: Sequence[Followed]) -> Result:
    """Means over clips `frames height width 3`, uint8, and over the tracks of their objects."""
    if len(clips) != len(tracks) or not clips:
        raise ValueError(
            f"got {len(tracks)} tracks for {len(clips)} clips; one each, of one clip or more"
        )
    rows = {
        ("warp error", "of 255"): [warp_error(frames) for frames in clips],
        ("flicker", "of 255"): [flicker(frames) for frames in clips],
        ("drift of color", "of 255"): [color_drift(track) for track in tracks],
        ("drift of size", "%"): [size_drift(track) for track in tracks],
        ("jitter of the track", "pixels"): [track_jitter(track) for track in tracks],
        ("range of motion", "pixels"): [motion_range(track) for track in tracks],
    }
    figures = []
    for (name, unit), values in rows.items():
        found = [value for value in values if not math.isnan(value)]
        mean = sum(found) / len(found) if found else math.nan
        better: Literal["higher", "lower"] = "higher" if name == "range of motion" else "lower"
        figures.append(Figure(name, mean, unit, better=better, count=len(found)))
    return Result("consistency", "Consistency over time", tuple(figures))


def _slopes(values: Tensor, is_seen: Tensor) -> Tensor:
    """Median of the slopes between all pairs of frames (Theil-Sen), per column of `frames columns`:
    frames in which something else is seen hardly change it."""
    times = torch.nonzero(is_seen)[:, 0].to(values)
    if len(times) < 3:
        return values.new_full((values.shape[1],), math.nan)
    seen = values[is_seen]
    first, second = torch.triu_indices(len(times), len(times), offset=1)
    rises = (seen[second] - seen[first]) / (times[second] - times[first])[:, None]
    ordered = rises.sort(dim=0).values
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _pictures(frames: Tensor) -> Tensor:
    return rearrange(frames.float() / 255, "f h w c -> f c h w")


def _check_length(frames: Tensor, *, least: int, measure: str) -> None:
    if len(frames) < least:
        raise ValueError(f"got {len(frames)} frames; {measure} needs {least} or more")


def centroid_range(x: Tensor, y: Tensor) -> float:
    """How far a centroid goes, in the units of `x` and `y`: the diagonal of the box of its path."""
    spans = torch.stack([track.max() - track.min() for track in (x, y)])
    return float(spans.square().sum().sqrt())
