"""A measured figure with its name and the bound it should keep; and how many numbers become one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Figure:
    """One number of a report. `wanted` is the bound it should keep, None where there is none."""

    name: str
    value: float
    unit: str = ""
    wanted: float | None = None
    better: Better = "higher"
    count: int | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the bound is kept; None without one. Nothing measured (NaN) keeps none."""
        if self.wanted is None:
            return None
        return self.value >= self.wanted if self.better == "higher" else self.value <= self.wanted


@dataclass(frozen=True)
class Result:
    """Figures that belong together, in the order they are shown in; and sentences about them: what
    could not be measured, and why."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_met(self) -> bool:
        return all(figure.is_met is not False for figure in self.figures)

    def value(self, name: str) -> float:
        """Of the figure of this name, which must be there."""
        return {figure.name: figure.value for figure in self.figures}[name]


def mean(values: Sequence[float]) -> float:
    """NaN of nothing."""
    return sum(values) / len(values) if values else float("nan")


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed; NaN of nothing, infinity kept."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    index = share * (len(ordered) - 1)
    low, high = ordered[int(index)], ordered[min(int(index) + 1, len(ordered) - 1)]
    # between two infinities there is no difference to interpolate, and 0 * inf is NaN
    return low if low == high or index % 1 == 0 else low + (high - low) * (index % 1)


def percent_figure(
    name: str, is_right: Sequence[bool], unit: str = "%", *, wanted: float | None = None
) -> Figure:
    """How many of 100 are right; NaN of nothing."""
    value = 100 * sum(is_right) / len(is_right) if is_right else float("nan")
    return Figure(name, value, unit, wanted, count=len(is_right))
