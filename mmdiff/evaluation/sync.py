"""Sync: how far what is seen is from what is heard, for events given as seconds, clip by clip."""

from collections.abc import Sequence

import torch

from mmdiff.evaluation.result import Figure, Result, percent_figure, quantile

WANTED_MEDIAN, WANTED_NINETIETH = 40.0, 125.0  # milliseconds
WITHIN_SECONDS = 0.062  # one frame of 16 a second
Seconds = Sequence[float]  # when things happen in one clip


def distances(events: Seconds, others: Seconds) -> list[float]:
    """Seconds from each of the events to the nearest of the others; infinity without any."""
    return [min((abs(event - other) for other in others), default=float("inf")) for event in events]


def sync(
    impacts: Sequence[Seconds],
    onsets: Sequence[Seconds],
    *,
    has_sound: Sequence[bool],
    name: str = "sync",
    title: str = "Sync",
) -> Result:
    """Distances over all visible impacts of all clips that should have sound.

    An impact in a clip that was asked for sound and has none counts as infinitely far.
    """
    pairs = zip(impacts, onsets, has_sound, strict=True)
    chosen = [(seen, heard) for seen, heard, has in pairs if has]
    found = [1e3 * gap for seen, heard in chosen for gap in distances(seen, heard)]
    lonely = [gap for seen, heard in chosen for gap in distances(heard, seen)]
    median, ninetieth = quantile(found, 0.5), quantile(found, 0.9)
    figures = (
        Figure("median", median, "ms", WANTED_MEDIAN, "lower", count=len(found)),
        Figure("90th percentile", ninetieth, "ms", WANTED_NINETIETH, "lower", count=len(found)),
        Figure("impacts within 125 ms", _percent_within(found, 125.0), "%", count=len(found)),
        Figure("onsets within 125 ms", _percent_within(lonely, 0.125), "%", count=len(lonely)),
        Figure("clips", float(len(chosen))),
    )
    return Result(name, title, figures)


def recall(
    name: str,
    true: Sequence[Seconds],
    found: Sequence[Seconds],
    *,
    wanted: float | None = None,
    within_seconds: float = WITHIN_SECONDS,
) -> Figure:
    """Percent of all true events that are found: one of the same clip lies within the bound. With
    the arguments exchanged it is precision."""
    pairs = zip(true, found, strict=True)
    gaps = [gap for mine, theirs in pairs for gap in distances(mine, theirs)]
    return percent_figure(name, [gap <= within_seconds for gap in gaps], wanted=wanted)


def clip_precision(
    name: str,
    found: Sequence[Seconds],
    true: Sequence[Seconds],
    *,
    wanted: float | None = None,
) -> Figure:
    """Percent of clips in which everything found lies near a true event; so is it in an empty
    clip."""
    pairs = zip(found, true, strict=True)
    is_right = [all(gap <= WITHIN_SECONDS for gap in distances(*pair)) for pair in pairs]
    return percent_figure(name, is_right, "% of clips", wanted=wanted)


def _percent_within(values: Sequence[float], bound: float) -> float:
    """In single precision, as the figures of earlier releases were."""
    if not values:
        return float("nan")
    return float(100 * (torch.tensor(values) <= bound).float().mean())
