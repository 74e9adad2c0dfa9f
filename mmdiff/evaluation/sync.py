"""Sync: how far each visible impact is from the nearest onset in the sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from mmdiff.evaluation.result import Figure, Result

WANTED_MEDIAN, WANTED_NINETIETH = 40.0, 125.0
"""Milliseconds."""


class Timed(Protocol):
    """What was seen and heard in a clip: moments in seconds."""

    @property
    def impacts(self) -> Sequence[float]: ...

    @property
    def onsets(self) -> Sequence[float]: ...


def distances(moments: Sequence[float], others: Sequence[float]) -> list[float]:
    """Seconds from each of the moments to the nearest of the others; infinity without any."""
    return [
        min((abs(moment - other) for other in others), default=float("inf")) for moment in moments
    ]


def sync(
    readings: Sequence[Timed],
    *,
    has_sound: Sequence[bool] | None = None,
    name: str = "sync",
    title: str = "Sync: impact to nearest onset",
) -> Result:
    """Distances over all visible impacts of all clips with sound.

    `has_sound` says which clips should have pings, by their prompts: an impact in a clip that was
    asked for sound and has none counts as infinitely far. Without it, clips with onsets count.
    """
    if has_sound is None:
        has_sound = [bool(reading.onsets) for reading in readings]
    if len(has_sound) != len(readings):
        raise ValueError(f"got {len(has_sound)} has_sound for {len(readings)} readings; one each")
    chosen = [reading for reading, has in zip(readings, has_sound, strict=True) if has]
    found = [1e3 * gap for reading in chosen for gap in distances(reading.impacts, reading.onsets)]
    lonely = [gap for reading in chosen for gap in distances(reading.onsets, reading.impacts)]
    median, ninetieth = quantile(found, 0.5), quantile(found, 0.9)
    return Result(
        name=name,
        title=title,
        figures=(
            Figure("median", median, "ms", WANTED_MEDIAN, "lower", count=len(found)),
            Figure("90th percentile", ninetieth, "ms", WANTED_NINETIETH, "lower", count=len(found)),
            Figure("impacts within 125 ms", _percent_within(found, 125.0), "%", count=len(found)),
            Figure("onsets within 125 ms", _percent_within(lonely, 0.125), "%", count=len(lonely)),
            Figure("clips", float(len(chosen))),
        ),
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed; NaN without any, infinity kept."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
    return low if low == high else low + (high - low) * (place % 1) if place % 1 else low


def _percent_within(values: Sequence[float], bound: float) -> float:
    if not values:
        return float("nan")
    return float(100 * (torch.tensor(values) <= bound).float().mean())
