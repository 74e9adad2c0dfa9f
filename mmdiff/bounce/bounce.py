"""One event of the world: the attributes that a caption names, and where the object starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import cache
from itertools import product
from zlib import crc32

import torch
from torch import Generator, Tensor

from mmdiff.bounce.motion import Impact, fall, fall_impacts, glide, glide_impacts

HALF_EXTENTS: dict[str, float] = {"small": 0.11, "large": 0.18}
COLORS: dict[str, tuple[int, int, int]] = {
    "red": (230, 40, 40),
    "green": (40, 190, 50),
    "blue": (50, 80, 240),
    "yellow": (240, 220, 40),
    "white": (240, 240, 240),
    "purple": (150, 50, 200),
    "orange": (250, 140, 30),
    "cyan": (50, 215, 230),
}
SHAPES = ("circle", "square", "triangle")
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "black": (8, 8, 8),
    "gray": (115, 115, 115),
    "navy": (12, 20, 75),
    "brown": (90, 52, 26),
}
STILL, FALLING = "standing still", "falling and bouncing"
SIDEWAYS, UPRIGHT = "bouncing left and right", "bouncing up and down"
DIAGONAL = "bouncing diagonally"
MOTIONS = (SIDEWAYS, UPRIGHT, DIAGONAL, FALLING, STILL)
SPEEDS: dict[str, float] = {"slowly": 0.45, "quickly": 0.9}
GRAVITIES: dict[str, float] = {"slowly": 1.2, "quickly": 3.6}
NO_SPEED, SILENT = "not at all", "no sound"
PITCHES: dict[str, float] = {"a low ping": 330.0, "a middle ping": 660.0, "a high ping": 1320.0}
TRIANGLE_HEIGHT = 3**0.5 / 2  # height of an equilateral triangle over its side

# Every attribute of a caption and its values. Their order is part of what a seed stands for:
# `Bounce.random` draws an index.
CHOICES: dict[str, tuple[str, ...]] = {
    "size": tuple(HALF_EXTENTS),
    "color": tuple(COLORS),
    "shape": SHAPES,
    "background": tuple(BACKGROUNDS),
    "motion": MOTIONS,
    "speed": (*SPEEDS, NO_SPEED),
    "sound": (*PITCHES, SILENT),
}


def is_held_out(color: str, shape: str, motion: str) -> bool:
    """Whether captions of this triple are kept out of training."""
    return crc32(f"{color}|{shape}|{motion}".encode()) % 10 == 0


@cache
def triples(held_out: bool | None = None) -> tuple[tuple[str, str, str], ...]:
    """All (color, shape, motion), or only those that are (not) held out of training."""
    every = product(COLORS, SHAPES, MOTIONS)
    return tuple(t for t in every if held_out is None or is_held_out(*t) == held_out)


@dataclass(frozen=True)
class Bounce:
    """What one clip shows and sounds like, in the words of `CHOICES`.

    `start_x`, `start_y` are fractions of the way the object is free to go (0: it touches the left
    or upper wall); directions are +1 (right, down) or -1.
    """

    size: str
    color: str
    shape: str
    background: str
    motion: str
    speed: str
    sound: str
    start_x: float = 0.5
    start_y: float = 0.5
    direction_x: int = 1
    direction_y: int = 1

    def __post_init__(self) -> None:
        for name, possible in CHOICES.items():
            if getattr(self, name) not in possible:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; possible are {', '.join(possible)}"
                )
        is_still = self.motion == STILL
        if is_still != (self.speed == NO_SPEED) or (is_still and self.sound != SILENT):
            raise ValueError(
                f"{self.motion!r} is given with {self.speed!r} and {self.sound!r}; "
                f"{STILL!r} goes with {NO_SPEED!r} and {SILENT!r}, all else with a speed"
            )
        assert 0 <= self.start_x <= 1 and 0 <= self.start_y <= 1
        assert abs(self.direction_x) == 1 and abs(self.direction_y) == 1

    @classmethod
    def random(cls, generator: Generator, *, held_out: bool | None = None) -> Bounce:
        """Draw an event; `held_out` True or False restricts its (color, shape, motion)."""
        draws = torch.rand(9, generator=generator, dtype=torch.float64).tolist()
        every = triples(held_out)
        color, shape, motion = every[int(draws[0] * len(every))]
        is_still = motion == STILL
        # what falls begins in the upper half, so that there is something to see
        start_y = 0.6 * draws[6] if motion == FALLING else 0.05 + 0.9 * draws[6]
        return cls(
            size=_pick(CHOICES["size"], draws[1]),
            color=color,
            shape=shape,
            background=_pick(CHOICES["background"], draws[2]),
            motion=motion,
            speed=NO_SPEED if is_still else _pick(tuple(SPEEDS), draws[3]),
            sound=SILENT if is_still else _pick(CHOICES["sound"], draws[4]),
            start_x=round(0.05 + 0.9 * draws[5], 4),
            start_y=round(start_y, 4),
            direction_x=-1 if draws[7] < 0.5 else 1,
            direction_y=-1 if draws[8] < 0.5 else 1,
        )

    @property
    def is_held_out(self) -> bool:
        return is_held_out(self.color, self.shape, self.motion)

    @property
    def is_silent(self) -> bool:
        return self.sound == SILENT

    @property
    def key(self) -> str:
        """One line that `from_key` turns back into an equal event."""
        return "|".join(str(value) for value in astuple(self))

    @classmethod
    def from_key(cls, key: str) -> Bounce:
        parts = key.split("|")
        if len(parts) != len(fields(cls)):
            raise ValueError(
                f"the key {key!r} has {len(parts)} parts; one of an event has {len(fields(cls))}"
            )
        return cls(*parts[:7], *map(float, parts[7:9]), *map(int, parts[9:]))  # type: ignore[arg-type]

    def half_extents(self, aspect_ratio: float = 1.0) -> tuple[float, float]:
        """Half the object's box, x and y, as fractions of a frame of this width over height."""
        half = HALF_EXTENTS[self.size]
        half_height = half * TRIANGLE_HEIGHT if self.shape == "triangle" else half
        return half / max(1.0, aspect_ratio), half_height * min(1.0, aspect_ratio)

    def positions(self, times: Tensor, aspect_ratio: float = 1.0) -> tuple[Tensor, Tensor]:
        """Centre of the object's box at each of the times, x and y, as fractions of the frame."""
        half_x, half_y = self.half_extents(aspect_ratio)
        (start_x, velocity_x, length_x), (start_y, velocity_y, length_y) = self._axes(aspect_ratio)
        x = glide(start_x, velocity_x, length=length_x, times=times)
        if self.motion == FALLING:
            y = length_y - fall(length_y - start_y, GRAVITIES[self.speed], times=times)
        else:
            y = glide(start_y, velocity_y, length=length_y, times=times)
        return half_x + x, half_y + y

    def impacts(self, duration_seconds: float, aspect_ratio: float = 1.0) -> tuple[Impact, ...]:
        """Every touch of a wall or the floor before `duration_seconds`, in order."""
        axes = self._axes(aspect_ratio)
        if self.motion == FALLING:
            start, _, length = axes[1]
            gravity = GRAVITIES[self.speed]
            return tuple(fall_impacts(length - start, gravity, duration_seconds=duration_seconds))
        found = [
            impact
            for start, velocity, length in axes
            if velocity
            for impact in glide_impacts(
                start, velocity, length=length, duration_seconds=duration_seconds
            )
        ]
        return tuple(sorted(found, key=lambda impact: impact.seconds))

    @property
    def highest_impact_speed(self) -> float:
        """Frame sizes/s, over all events of this kind of motion."""
        if self.motion == FALLING:
            height = 1 - 2 * HALF_EXTENTS["small"] * TRIANGLE_HEIGHT
            return float((2 * GRAVITIES["quickly"] * height) ** 0.5)
        return SPEEDS["quickly"]

    def _axes(self, aspect_ratio: float) -> Sequence[tuple[float, float, float]]:
        """Start, velocity and free length of the x and the y axis, in fractions of the frame."""
        half_x, half_y = self.half_extents(aspect_ratio)
        length_x, length_y = 1 - 2 * half_x, 1 - 2 * half_y
        speed = SPEEDS.get(self.speed, 0.0)
        velocity_x = speed * self.direction_x * (self.motion in (SIDEWAYS, DIAGONAL))
        velocity_y = speed * self.direction_y * (self.motion in (UPRIGHT, DIAGONAL))
        return (
            (self.start_x * length_x, velocity_x, length_x),
            (self.start_y * length_y, velocity_y, length_y),
        )


def _pick(values: Sequence[str], draw: float) -> str:
    return values[int(draw * len(values))]
