"""Noise levels that a caller gives by himself, `sigmas` or `timesteps`: legal ones, or refused."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from mmdiff.diffusion.scheduler_families import FLOW, TABLED, VARIANCE_EXPLODING

MAX_STEPS = 1000
LARGEST_SIGMA = 10_000.0  # of schedulers whose noise is added to a signal of full strength
EXAMPLES = {"sigmas": "[1.0, 0.75, 0.5, 0.25]", "timesteps": "[999, 750, 500, 250]"}


@dataclass(frozen=True)
class LevelLimits:
    """What the schedulers of a call can start from, and whether they count levels in whole steps.

    The lowest level is above 0 for sigmas, and for timesteps where 0 is clean (`is_zero_clean`).
    Of some schedulers the sigmas end with the level after the last step (`counts_last_sigma`).
    """

    highest_sigma: float = 1.0
    highest_timestep: float = 1000.0
    is_zero_clean: bool = True
    has_whole_timesteps: bool = False
    counts_last_sigma: bool = False


LEVELS_OF_FLOW = LevelLimits()


def level_limits(schedulers: Iterable[Any]) -> LevelLimits:
    """The limits that hold for all of `schedulers` together."""
    found = list(schedulers)
    are_flow = [
        isinstance(one, FLOW) or bool(one.config.get("use_flow_sigmas", False)) for one in found
    ]
    last = [float(one.config.get("num_train_timesteps", 1000)) for one in found]
    return LevelLimits(
        highest_sigma=1.0 if any(are_flow) else LARGEST_SIGMA,
        highest_timestep=min(
            count if isinstance(one, FLOW) else count - 1
            for count, one in zip(last, found, strict=True)
        ),
        is_zero_clean=any(are_flow),
        has_whole_timesteps=any(isinstance(one, TABLED) for one in found),
        counts_last_sigma=any(isinstance(one, VARIANCE_EXPLODING) for one in found),
    )


def check_levels(sigmas: Any, timesteps: Any, limits: LevelLimits) -> None:
    """Raise unless at most one of them is given, with finite, legal and falling levels.

    TypeError for what is no list of numbers, ValueError naming the argument, its value and what is
    legal for everything else.
    """
    if sigmas is not None and timesteps is not None:
        raise ValueError("sigmas and timesteps are both given; give one of them")
    if sigmas is not None:
        levels = _numbers("sigmas", sigmas, fewest=2 if limits.counts_last_sigma else 1)
        ends_clean = limits.counts_last_sigma and levels[-1] == 0
        noisy = levels[:-1] if ends_clean else levels
        _check_range("sigmas", noisy, limits.highest_sigma, above_zero=True)
        _check_falling("sigmas", levels)
    if timesteps is not None:
        levels = _numbers("timesteps", timesteps)
        _check_range("timesteps", levels, limits.highest_timestep, above_zero=limits.is_zero_clean)
        for index, level in enumerate(levels):
            if limits.has_whole_timesteps and level != int(level):
                raise ValueError(
                    f"timesteps[{index}] is {level}; this scheduler counts whole steps: "
                    f"{round(level)}"
                )
        _check_falling("timesteps", levels)


def _numbers(name: str, value: Any, *, fewest: int = 1) -> list[float]:
    plain = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(plain, (list, tuple)):
        raise TypeError(
            f"{name} is a {type(value).__name__}; it must be a list of falling levels, such as "
            f"{EXAMPLES[name]}"
        )
    if not fewest <= len(plain) <= MAX_STEPS:
        raise ValueError(
            f"{name} has {len(plain)} levels; with this scheduler it must have from {fewest} to "
            f"{MAX_STEPS}"
        )
    for index, level in enumerate(plain):
        if not isinstance(level, Real) or isinstance(level, bool):
            raise TypeError(f"{name}[{index}] is {level!r:.80}; it must be a number")
    return [_float(level) for level in plain]


def _float(level: Any) -> float:
    try:
        return float(level)
    except OverflowError:  # a whole number that no float holds
        return math.inf if level > 0 else -math.inf


def _check_range(name: str, levels: list[float], highest: float, *, above_zero: bool) -> None:
    for index, level in enumerate(levels):
        if (level > 0 if above_zero else level >= 0) and level <= highest:
            continue
        clean = "; the last level, which is clean, comes by itself" if level == 0 else ""
        lowest = "above 0" if above_zero else "from 0"
        raise ValueError(
            f"{name}[{index}] is {level:g}; with this scheduler it must be {lowest} up to "
            f"{highest:g}{clean}"
        )


def _check_falling(name: str, levels: list[float]) -> None:
    for index in range(1, len(levels)):
        if levels[index] >= levels[index - 1]:
            raise ValueError(
                f"{name}[{index}] is {levels[index]:g} after {levels[index - 1]:g}; levels must "
                "fall from each step to the next"
            )
