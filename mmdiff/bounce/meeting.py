"""Meeting: of the moments of one list, how many another list meets; and what it adds."""

from __future__ import annotations

from collections.abc import Sequence

from mmdiff.evaluation.result import Figure
from mmdiff.evaluation.sync import distances

WITHIN_SECONDS = 0.062
"""One frame of 16 a second."""

Moments = Sequence[float]


def met(
    name: str,
    moments: Sequence[Moments],
    others: Sequence[Moments],
    *,
    wanted: float | None = None,
    within_seconds: float = WITHIN_SECONDS,
) -> Figure:
    """Percent of all moments that have one of the others, of the same clip, within the bound."""
    found = [
        gap <= within_seconds
        for mine, theirs in _pairs(moments, others)
        for gap in distances(mine, theirs)
    ]
    return Figure(name, percent(found), "%", wanted, count=len(found))


def unstrayed(
    name: str,
    moments: Sequence[Moments],
    others: Sequence[Moments],
    *,
    wanted: float | None = None,
    within_seconds: float = WITHIN_SECONDS,
) -> Figure:
    """Percent of clips in which every moment is near one of the others; an empty clip is one."""
    found = [
        all(gap <= within_seconds for gap in distances(mine, theirs))
        for mine, theirs in _pairs(moments, others)
    ]
    return Figure(name, percent(found), "% of clips", wanted, count=len(found))


def percent(found: Sequence[bool]) -> float:
    """Of 100; NaN of nothing."""
    return 100 * sum(found) / len(found) if found else float("nan")


def _pairs(
    moments: Sequence[Moments], others: Sequence[Moments]
) -> Sequence[tuple[Moments, Moments]]:
    if len(moments) != len(others):
        raise ValueError(
            f"got the moments of {len(moments)} clips and the others of {len(others)}; one each"
        )
    return list(zip(moments, others, strict=True))
