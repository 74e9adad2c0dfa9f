"""A measured figure with its name, what it should be, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One number of a report. `wanted` is the bound it should keep, None where there is none."""

    name: str
    value: float
    unit: str = ""
    wanted: float | None = None
    better: Literal["higher", "lower"] = "higher"
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
        for figure in self.figures:
            if figure.name == name:
                return figure.value
        names = ", ".join(figure.name for figure in self.figures)
        raise ValueError(f"{self.name} has no figure {name!r}; it has {names}")
