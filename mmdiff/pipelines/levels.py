"""Noise levels that a caller gives, `sigmas` or `timesteps`: legal ones, or refused."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

from mmdiff.diffusion.scheduler import FLOW, TABLED, VARIANCE_EXPLODING

MAX_STEPS = 1000
LARGEST_SIGMA = 10_000.0  # of schedulers whose noise is added to a signal of full strength
EXAMPLES = {"sigmas": "[1.0, 0.75, 0.5, 0.25]", "timesteps": "[999, 750, 500, 250]"}


def check_levels(sigmas: Any, timesteps: Any, schedulers: Sequence[Any]) -> None:
    """Raise unless one of them is given, with finite and falling levels that all of `schedulers`
    can start from (None: one that is missing).

    TypeError for what is no list of numbers, ValueError naming the argument, its value and what is
    legal for everything else.
    """
    if sigmas is not None and timesteps is not None:
        raise ValueError("sigmas and timesteps are both given; give one of them")
    schedulers = [one for one in schedulers if one is not None]
    is_flow = any(
        isinstance(one, FLOW) or bool(one.config.get("use_flow_sigmas", False))
        for one in schedulers
    )
    if sigmas is not None:
        # of these schedulers the sigmas end with the level after the last step
        has_end = any(isinstance(one, VARIANCE_EXPLODING) for one in schedulers)
        levels = _numbers("sigmas", sigmas, fewest=2 if has_end else 1)
        highest = 1.0 if is_flow else LARGEST_SIGMA
        _check_falling("sigmas", levels, highest, is_zero_legal=False, has_end=has_end)
        return
    levels = _numbers("timesteps", timesteps, fewest=1)
    highest = min(
        float(one.config.get("num_train_timesteps", 1000)) - (not isinstance(one, FLOW))
        for one in schedulers
    )
    _check_falling("timesteps", levels, highest, is_zero_legal=not is_flow, has_end=False)
    for index, level in enumerate(levels):
        if level != int(level) and any(isinstance(one, TABLED) for one in schedulers):
            raise ValueError(
                f"timesteps[{index}] is {level}; this scheduler counts whole steps: {round(level)}"
            )


def _numbers(name: str, value: Any, *, fewest: int) -> list[float]:
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
    # a whole number may be larger than any float
    return [float(level) if not abs(level) > 1e30 else math.inf for level in plain]


def _check_falling(
    name: str, levels: list[float], highest: float, *, is_zero_legal: bool, has_end: bool
) -> None:
    for index, level in enumerate(levels):
        is_end = has_end and level == 0 and index == len(levels) - 1
        if not (0 < level <= highest or (level == 0 and is_zero_legal) or (is_end and index > 0)):
            clean = "; the last level, which is clean, comes by itself" if level == 0 else ""
            lowest = "from 0" if is_zero_legal else "above 0"
            raise ValueError(
                f"{name}[{index}] is {level:g}; with this scheduler it must be {lowest} up to "
                f"{highest:g}{clean}"
            )
        if index and level >= levels[index - 1]:
            raise ValueError(
                f"{name}[{index}] is {level:g} after {levels[index - 1]:g}; levels must "
                "fall from each step to the next"
            )
