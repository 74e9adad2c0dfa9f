"""How an object moves, and when it touches a wall, from the track of its centre."""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.bounce.bounce import (
    DIAGONAL,
    FALLING,
    GRAVITIES,
    NO_SPEED,
    SIDEWAYS,
    SPEEDS,
    STILL,
    TRIANGLE_HEIGHT,
    UPRIGHT,
)
from mmdiff.bounce.motion import fall, glide
from mmdiff.bounce.outline import CENTROIDS, Outline
from mmdiff.bounce.tracking import Track

MOVING = 0.08  # of the frame size: an axis along which the object's track spreads less stands still
NEAR_WALL = 0.12  # of the frame size: how near a turn must lie to a wall to be an impact
LEAST_KINK = 0.3  # frame sizes/s: how much the speed must change at an impact
SIDE_SECONDS = 0.2  # how much of the track on each side a turn is timed by
GRID = 41
Fit = tuple[float, float]  # error, and the rate (speed or gravity) that has it


@dataclass(frozen=True)
class Trajectory:
    """Motion and speed in the words of a `Bounce`, impacts in seconds."""

    motion: str
    speed: str
    impacts: tuple[float, ...]


def read_trajectory(followed: Track, outline: Outline, *, fps: float) -> Trajectory:
    """Read the track of the centre of the object's box, from the frames that show the object."""
    seen = followed.is_seen
    height, width = followed.coverage.shape[1:]
    half = outline.half_extent * min(height, width)
    half_height = half * (TRIANGLE_HEIGHT if outline.shape == "triangle" else 1.0)
    box_y = followed.y - CENTROIDS[outline.shape] * half
    # from here on in fractions of the frame and in seconds
    x, y = followed.x[seen].double() / width, box_y[seen].double() / height
    half_x, half_y = half / width, half_height / height
    times = torch.nonzero(seen)[:, 0].double() / fps
    is_x, is_y = _spread(x) > MOVING, _spread(y) > MOVING
    if not is_x and not is_y:
        return Trajectory(STILL, NO_SPEED, ())
    (_, rate_x), (error_y, rate_y) = (
        _fit_glide(track, times, half=half) for track, half in ((x, half_x), (y, half_y))
    )
    error_fall, gravity = _fit_fall(y, times, half=half_y)
    if not is_x and error_fall < error_y:
        impacts = _impacts(y, times, half=half_y, gravity=gravity)
        return Trajectory(FALLING, _nearest(GRAVITIES, gravity), tuple(impacts))
    impacts_x, impacts_y = _impacts(x, times, half=half_x), _impacts(y, times, half=half_y)
    if is_x and is_y:
        speed = _nearest(SPEEDS, (rate_x * rate_y) ** 0.5)
        return Trajectory(DIAGONAL, speed, tuple(sorted(impacts_x + impacts_y)))
    if is_x:
        return Trajectory(SIDEWAYS, _nearest(SPEEDS, rate_x), tuple(impacts_x))
    return Trajectory(UPRIGHT, _nearest(SPEEDS, rate_y), tuple(impacts_y))


def _spread(track: Tensor) -> float:
    low, high = torch.quantile(track, torch.tensor([0.04, 0.96], dtype=track.dtype))
    return float(high - low)


def _nearest(values: dict[str, float], rate: float) -> str:
    return min(values, key=lambda name: abs(torch.tensor(rate / values[name]).log().item()))


def _fit_glide(track: Tensor, times: Tensor, *, half: float) -> Fit:
    """The speed of the constant motion between two walls that follows the track best."""
    length = 1 - 2 * half
    starts = torch.linspace(0, length, GRID, dtype=times.dtype)[:, None, None]
    rates = SPEEDS["slowly"] * 2 ** (torch.arange(-6, 15, dtype=times.dtype) / 8)
    velocities = torch.cat([rates, -rates])[:, None]
    model = half + glide(starts, velocities, length=length, times=times)
    return _best(model, track, torch.cat([rates, rates]))


def _fit_fall(track: Tensor, times: Tensor, *, half: float) -> Fit:
    """The gravity of the fall from rest that follows the track best."""
    length = 1 - 2 * half
    heights = torch.linspace(0.05, 1, GRID, dtype=times.dtype)[:, None, None] * length
    rates = GRAVITIES["slowly"] * 3 ** (torch.arange(-6, 15, dtype=times.dtype) / 8)
    model = 1 - half - fall(heights, rates[:, None], times=times)
    return _best(model, track, rates)


def _best(model: Tensor, track: Tensor, rates: Tensor) -> Fit:
    """Mean distance, each frame's capped so that a few torn frames do not decide."""
    errors = (model - track).abs().clamp(max=0.15).mean(-1)  # start rate
    error, index = rearrange(errors, "start rate -> (start rate)").min(0)
    return float(error), float(rates[int(index) % len(rates)])


def _impacts(track: Tensor, times: Tensor, *, half: float, gravity: float = 0.0) -> list[float]:
    """Times of the turns at a wall: where the lines through the track on both sides meet.

    Under gravity the parabola's own bend is taken off first, so both sides are lines too.
    """
    seconds, values = times.tolist(), (track - gravity / 2 * times**2).tolist()
    if len(seconds) < 4:
        return []
    reach = max(3, round(SIDE_SECONDS / float(times.diff().median())))
    turns: list[tuple[float, float]] = []  # time, misfit
    for k in range(1, len(seconds) - 2):
        first, last = max(0, k - reach + 1), min(len(seconds), k + 1 + reach)
        slope, level, misfit = _line(seconds[first : k + 1], values[first : k + 1])
        slope_after, level_after, misfit_after = _line(seconds[k + 1 : last], values[k + 1 : last])
        if slope == slope_after:
            continue
        turn = (level_after - level) / (slope - slope_after)
        is_between = -0.3 <= (turn - seconds[k]) / (seconds[k + 1] - seconds[k]) <= 1.3
        before, after = slope + gravity * turn, slope_after + gravity * turn
        position = level + slope * turn + gravity / 2 * turn**2
        is_wall = abs(position - (1 - half)) < NEAR_WALL and before > 0
        # what falls touches no ceiling
        is_wall |= abs(position - half) < NEAR_WALL and before < 0 and not gravity
        if is_between and is_wall and before * after < 0 and abs(before - after) > LEAST_KINK:
            turns.append((turn, misfit + misfit_after))
    return _thin(turns, least_seconds=SIDE_SECONDS)


def _thin(turns: list[tuple[float, float]], *, least_seconds: float) -> list[float]:
    """Of turns that lie closer together than `least_seconds`, those whose lines fit best."""
    kept: list[float] = []
    for turn, _ in sorted(turns, key=lambda found: found[1]):
        if all(abs(turn - other) >= least_seconds for other in kept):
            kept.append(turn)
    return sorted(kept)


def _line(seconds: list[float], values: list[float]) -> tuple[float, float, float]:
    """Least squares: slope, level at time 0, root mean square misfit."""
    count = len(seconds)
    middle, mean = sum(seconds) / count, sum(values) / count
    spread = sum((s - middle) ** 2 for s in seconds)
    slope = sum((s - middle) * (v - mean) for s, v in zip(seconds, values, strict=True)) / spread
    level = mean - slope * middle
    squares = sum((level + slope * s - v) ** 2 for s, v in zip(seconds, values, strict=True))
    return slope, level, (squares / max(1, count - 1)) ** 0.5
