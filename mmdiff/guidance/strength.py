"""How strongly guidance acts: a scale per half, within an interval, over a schedule."""

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mmdiff.values.latents import Modality

Schedule = Literal["constant", "linear", "cosine"]

MAX_SCALE = 100.0


def check_scale(name: str, value: Any, *, lowest: float = 0.0) -> None:
    """Raise ValueError unless `value` is a finite number from `lowest` to MAX_SCALE."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or not lowest <= value <= MAX_SCALE:
        near = min(max(value, lowest), MAX_SCALE) if is_number and not math.isnan(value) else 1.0
        raise ValueError(
            f"{name} is {value!r}; it must be a number from {lowest:g} to {MAX_SCALE:g}: {near:g}"
        )


def check_interval(interval: Any) -> None:
    """Raise ValueError unless `interval` is two noise times, the earlier first."""
    cure = "it must be two noise times 0 <= first <= last <= 1, and (0, 1) guides always"
    numbers = list(interval) if isinstance(interval, (list, tuple)) else []
    if len(numbers) != 2 or not all(isinstance(number, (int, float)) for number in numbers):
        raise ValueError(f"interval is {interval!r}; {cure}")
    if not 0 <= numbers[0] <= numbers[1] <= 1:
        raise ValueError(f"interval is {tuple(numbers)}; {cure}")


def check_schedule(schedule: Any) -> None:
    """Raise ValueError unless there is a schedule of this name."""
    if schedule not in get_args(Schedule):
        known = ", ".join(map(repr, get_args(Schedule)))
        raise ValueError(f"schedule is {schedule!r}; there are {known}: 'constant' is even")


def scale_of(modality: Modality, scale: float, audio_scale: float | None) -> float:
    """The scale of a half: the sound takes the picture's where it has none of its own."""
    return audio_scale if modality == "audio" and audio_scale is not None else scale


def over_time(level: Tensor, *, interval: tuple[float, float], schedule: Schedule) -> Tensor:
    """The factor on a scale at the noise time t of `level`, of its shape.

    constant  1
    linear    2 (1 - t)
    cosine    1 + cos(pi t)
    The two grow towards the clean clip (arXiv 2404.13040, table 1); the mean of each over all times
    is 1. It is 0 outside of `interval` (arXiv 2404.07724), and at time 0: a half without noise is
    given, and there is nothing to guide.
    """
    if schedule == "linear":
        factor = 2 * (1 - level)
    elif schedule == "cosine":
        factor = 1 + torch.cos(math.pi * level)
    else:
        factor = torch.ones_like(level)
    is_active = (level >= interval[0]) & (level <= interval[1]) & (level > 0)
    return torch.where(is_active, factor, 0.0)
