"""Numbers that a condition takes: what is none, or lies outside, is refused by name."""

import math
from fractions import Fraction


def check_number(
    name: str, value: object, *, lowest: float = -math.inf, highest: float = math.inf
) -> None:
    """Raise TypeError unless `value` is a finite number, ValueError unless lowest..highest."""
    legal = "a number"
    if math.isfinite(lowest):
        legal += f" from {lowest:g}" + (f" to {highest:g}" if math.isfinite(highest) else " on")
    is_number = isinstance(value, (int, float, Fraction)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):  # type: ignore[arg-type]
        raise TypeError(f"{name} is {value!r}; it must be {legal}")
    if not lowest <= value <= highest:  # type: ignore[operator]
        nearest = min(max(float(value), lowest), highest)  # type: ignore[arg-type]
        raise ValueError(f"{name} is {float(value):g}; it must be {legal}: {nearest:g}")  # type: ignore[arg-type]
