"""Numbers that are taken: counts, widths, weights, seconds; what is none is refused by name."""

import math
from collections.abc import Sequence
from fractions import Fraction

LARGEST_SIZE = 2**20
LARGEST_NUMBER = 1e300  # a whole number may be larger than any float
MOST_LAYERS = 1024  # deeper than any model there is; a slip of 10**6 would take hours to build


def check_sizes(*, least: int = 1, most: int = LARGEST_SIZE, **sizes: int | Sequence[int]) -> None:
    """Raise ValueError unless each size, or each of a list of them, is least..most.

    Layers of torch take a size of 0 or less, and fail with a word about tensors at their first use.
    """
    for name, value in sizes.items():
        for size in value if isinstance(value, Sequence) else (value,):
            if not _is_size(size, least, most):
                given = list(value) if isinstance(value, Sequence) else value
                kind = "whole numbers" if isinstance(value, Sequence) else "a whole number"
                raise ValueError(f"{name} is {given}; it must be {kind} from {least} to {most}")


def _is_size(size: object, least: int, most: int) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and least <= size <= most


def check_weights(*, above: bool = False, **weights: float) -> None:
    """Raise ValueError unless each is a finite number from 0 on, or with `above` over 0.

    A negative weight, or rate, trains away from what it is given for.
    """
    for name, weight in weights.items():
        if not (0 < weight < math.inf or (weight == 0 and not above)):
            legal = "above 0" if above else "from 0 on"
            raise ValueError(f"{name} is {weight}; it must be a finite number {legal}")


def check_fractions(*, with_one: bool = True, **fractions: float | Sequence[float]) -> None:
    """Raise ValueError unless each, or each of a list of them, is from 0 to 1 (or below 1)."""
    for name, value in fractions.items():
        for fraction in value if isinstance(value, Sequence) else (value,):
            if not (0 <= fraction < 1 or (fraction == 1 and with_one)):
                legal = "from 0 to 1" if with_one else "from 0 and below 1"
                raise ValueError(f"{name} is {value}; it must be {legal}")


def check_number(
    name: str, value: object, *, lowest: float = -math.inf, highest: float = math.inf
) -> None:
    """Raise TypeError unless `value` is a finite number, ValueError unless lowest..highest."""
    legal = "a number"
    if math.isfinite(lowest):
        legal += f" from {lowest:g}" + (f" to {highest:g}" if math.isfinite(highest) else " on")
    is_number = isinstance(value, (int, float, Fraction)) and not isinstance(value, bool)
    if not is_number or not abs(value) < LARGEST_NUMBER:  # type: ignore[arg-type]
        raise TypeError(f"{name} is {value!r:.80}; it must be {legal}")
    if not lowest <= value <= highest:  # type: ignore[operator]
        nearest = min(max(float(value), lowest), highest)  # type: ignore[arg-type]
        raise ValueError(f"{name} is {float(value):g}; it must be {legal}: {nearest:g}")  # type: ignore[arg-type]


def check_integer(name: str, value: object, *, lowest: int, highest: int) -> None:
    """Raise TypeError unless `value` is a whole number, ValueError unless lowest..highest."""
    legal = f"a whole number from {lowest} to {highest}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; it must be {legal}")
    if not lowest <= value <= highest:
        nearest = min(max(value, lowest), highest)
        raise ValueError(f"{name} is {value}; it must be {legal}: {nearest}")
