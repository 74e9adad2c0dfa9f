"""One event of the world: the attributes that a caption names, and where the object starts."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from functools import cache
from itertools import product
from typing import Literal, TypeVar, get_args
from zlib import crc32

import torch
from torch import Generator, Tensor

from mmdiff.bounce.motion import Impact, fall, fall_impacts, glide, glide_impacts

Size = Literal["small", "large"]
Color = Literal["red", "green", "blue", "yellow", "white", "purple", "orange", "cyan"]
Shape = Literal["circle", "square", "triangle"]
Background = Literal["black", "gray", "navy", "brown"]
Motion = Literal[
    "bouncing left and right",
    "bouncing up and down",
    "bouncing diagonally",
    "falling and bouncing",
    "standing still",
]
Speed = Literal["slowly", "quickly", "not at all"]
Sound = Literal["a low ping", "a middle ping", "a high ping", "no sound"]

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
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "black": (8, 8, 8),
    "gray": (115, 115, 115),
    "navy": (12, 20, 75),
    "brown": (90, 52, 26),
}
SPEEDS: dict[str, float] = {"slowly": 0.45, "quickly": 0.9}
GRAVITIES: dict[str, float] = {"slowly": 1.2, "quickly": 3.6}
PITCHES: dict[str, float] = {"a low ping": 330.0, "a middle ping": 660.0, "a high ping": 1320.0}
TRIANGLE_HEIGHT = 3**0.5 / 2
"""Height of an equilateral triangle over its side."""

Triple = tuple[Color, Shape, Motion]
T = TypeVar("T")


def is_held_out(color: str, shape: str, motion: str) -> bool:
    """Whether captions of this triple are kept out of training."""
    return crc32(f"{color}|{shape}|{motion}".encode()) % 10 == 0


@cache
def triples(held_out: bool | None = None) -> tuple[Triple, ...]:
    """All (color, shape, motion), or only those that are (not) held out of training."""
    every = product(get_args(Color), get_args(Shape), get_args(Motion))
    return tuple(t for t in every if held_out is None or is_held_out(*t) == held_out)


@dataclass(frozen=True)
class Bounce:
    """What one clip shows and sounds like.

    `start_x`, `start_y` are fractions of the way the object is free to go (0: it touches the left
    or upper wall); directions are +1 (right, down) or -1.
    """

    size: Size
    color: Color
    shape: Shape
    background: Background
    motion: Motion
    speed: Speed
    sound: Sound
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
        if (self.motion == "standing still") != (self.speed == "not at all"):
            raise ValueError(
                f"speed is {self.speed!r} with motion {self.motion!r}; "
                "'not at all' goes with 'standing still', and only with it"
            )
        if self.motion == "standing still" and self.sound != "no sound":
            raise ValueError(f"sound is {self.sound!r}; an object 'standing still' has 'no sound'")
        if not (0 <= self.start_x <= 1 and 0 <= self.start_y <= 1):
            raise ValueError(f"start is ({self.start_x}, {self.start_y}); both lie in [0, 1]")
        if abs(self.direction_x) != 1 or abs(self.direction_y) != 1:
            raise ValueError(
                f"direction is ({self.direction_x}, {self.direction_y}); both are 1 or -1"
            )

    @classmethod
    def random(cls, generator: Generator, *, held_out: bool | None = None) -> Bounce:
        """Draw an event; `held_out` True or False restricts its (color, shape, motion)."""
        draws = torch.rand(9, generator=generator, dtype=torch.float64).tolist()
        color, shape, motion = _pick(triples(held_out), draws[0])
        is_still, is_falling = motion == "standing still", motion == "falling and bouncing"
        start_y = 0.6 * draws[6] if is_falling else 0.05 + 0.9 * draws[6]
        return cls(
            size=_pick(get_args(Size), draws[1]),
            color=color,
            shape=shape,
            background=_pick(get_args(Background), draws[2]),
            motion=motion,
            speed="not at all" if is_still else _pick(("slowly", "quickly"), draws[3]),
            sound="no sound" if is_still else _pick(get_args(Sound), draws[4]),
            start_x=round(0.05 + 0.9 * draws[5], 4),
            start_y=round(start_y, 4),
            direction_x=_pick((-1, 1), draws[7]),
            direction_y=_pick((-1, 1), draws[8]),
        )

    @property
    def is_held_out(self) -> bool:
        return is_held_out(self.color, self.shape, self.motion)

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
        start = (float(part) for part in parts[7:9])
        direction = (int(part) for part in parts[9:11])
        return cls(*parts[:7], *start, *direction)  # type: ignore[arg-type]

    def half_extents(self, aspect_ratio: float = 1.0) -> tuple[float, float]:
        """Half the object's box, x and y, as fractions of the canvas of this width over height."""
        half = HALF_EXTENTS[self.size]
        half_height = half * TRIANGLE_HEIGHT if self.shape == "triangle" else half
        return half / max(1.0, aspect_ratio), half_height * min(1.0, aspect_ratio)

    def positions(self, times: Tensor, aspect_ratio: float = 1.0) -> tuple[Tensor, Tensor]:
        """Centre of the object's box at each of the times, x and y, as fractions of the canvas."""
        half_x, half_y = self.half_extents(aspect_ratio)
        (start_x, velocity_x, length_x), (start_y, velocity_y, length_y) = self._axes(aspect_ratio)
        x = glide(start_x, velocity_x, length=length_x, times=times)
        if self.motion == "falling and bouncing":
            y = length_y - fall(length_y - start_y, GRAVITIES[self.speed], times=times)
        else:
            y = glide(start_y, velocity_y, length=length_y, times=times)
        return half_x + x, half_y + y

    def impacts(self, duration_seconds: float, aspect_ratio: float = 1.0) -> tuple[Impact, ...]:
        """Every touch of a wall or the floor before `duration_seconds`, in order."""
        duration_seconds = float(duration_seconds)
        axes = self._axes(aspect_ratio)
        if self.motion == "falling and bouncing":
            start, _, length = axes[1]
            gravity = GRAVITIES[self.speed]
            return tuple(fall_impacts(length - start, gravity, duration_seconds=duration_seconds))
        found = [
            impact
            for start, velocity, length in axes
            if velocity != 0
            for impact in glide_impacts(
                start, velocity, length=length, duration_seconds=duration_seconds
            )
        ]
        return tuple(sorted(found, key=lambda impact: impact.seconds))

    @property
    def highest_impact_speed(self) -> float:
        """canvas/s, over all events of this kind of motion."""
        if self.motion == "falling and bouncing":
            height = 1 - 2 * HALF_EXTENTS["small"] * TRIANGLE_HEIGHT
            return float((2 * GRAVITIES["quickly"] * height) ** 0.5)
        return SPEEDS["quickly"]

    def _axes(self, aspect_ratio: float) -> tuple[tuple[float, float, float], ...]:
        """Start, velocity and free length of the x and the y axis, in fractions of the canvas."""
        half_x, half_y = self.half_extents(aspect_ratio)
        length_x, length_y = 1 - 2 * half_x, 1 - 2 * half_y
        speed = SPEEDS.get(self.speed, 0.0)
        is_x = self.motion in ("bouncing left and right", "bouncing diagonally")
        is_y = self.motion in ("bouncing up and down", "bouncing diagonally")
        return (
            (self.start_x * length_x, speed * self.direction_x * is_x, length_x),
            (self.start_y * length_y, speed * self.direction_y * is_y, length_y),
        )


CHOICES: dict[str, tuple[str, ...]] = {
    "size": get_args(Size),
    "color": get_args(Color),
    "shape": get_args(Shape),
    "background": get_args(Background),
    "motion": get_args(Motion),
    "speed": get_args(Speed),
    "sound": get_args(Sound),
}
"""Every attribute of a caption and its values."""


def _pick(values: tuple[T, ...], draw: float) -> T:
    return values[int(draw * len(values))]
