"""Motion along one axis, in closed form: constant speed between two walls, and falling."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

RESTITUTION = 0.85  # part of its speed that a falling object keeps at an impact

# frame sizes/s: a falling object that is slower than this at an impact stays on the floor
RESTING_SPEED = 0.2


@dataclass(frozen=True)
class Impact:
    """One touch of a wall: when, and how fast (frame sizes/s)."""

    seconds: float
    speed: float


def glide(
    start: Tensor | float, velocity: Tensor | float, *, length: float, times: Tensor
) -> Tensor:
    """Position in [0, length] of a point that runs at constant speed between two walls.

    `start` and `velocity` may be tensors that broadcast against `times`.
    """
    folded = torch.remainder(start + velocity * times, 2 * length)
    return length - (folded - length).abs()


def glide_impacts(
    start: float, velocity: float, *, length: float, duration_seconds: float
) -> list[Impact]:
    """Every touch of a wall after time 0 and before `duration_seconds`."""
    to_wall = length - start if velocity > 0 else start
    first, period = to_wall / abs(velocity), length / abs(velocity)
    count = max(0, math.ceil((duration_seconds - first) / period))
    return [Impact(first + i * period, abs(velocity)) for i in range(count)]


def fall_impacts(height: float, gravity: float, *, duration_seconds: float) -> list[Impact]:
    """Every touch of the floor of a point dropped at rest from `height` above it."""
    seconds, speed = math.sqrt(2 * height / gravity), math.sqrt(2 * height * gravity)
    impacts = []
    while seconds < duration_seconds and speed >= RESTING_SPEED:
        impacts.append(Impact(seconds, speed))
        speed *= RESTITUTION
        seconds += 2 * speed / gravity
    return impacts


def fall(height: Tensor | float, gravity: Tensor | float, *, times: Tensor) -> Tensor:
    """Height above the floor at each of the times, of a point dropped at rest from `height`.

    `height` and `gravity` may be tensors that broadcast against `times`.
    """
    above = height - gravity / 2 * times**2
    gravity = torch.as_tensor(gravity, dtype=times.dtype)
    seconds, speed = (2 * height / gravity) ** 0.5, (2 * height * gravity) ** 0.5
    while bool(((seconds <= times.max()) & (speed >= RESTING_SPEED)).any()):
        is_impact, speed = speed >= RESTING_SPEED, speed * RESTITUTION
        since = times - seconds
        flight = (speed * since - gravity / 2 * since**2) * (speed >= RESTING_SPEED)
        above = torch.where(is_impact & (since >= 0), flight, above)
        seconds = seconds + 2 * speed / gravity
    return above.clamp(min=0)
