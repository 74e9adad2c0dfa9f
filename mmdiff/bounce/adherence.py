"""Adherence: of the attributes that a prompt names, how many the clip shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmdiff.evaluation.result import Figure, Result

TRIPLE = ("color", "shape", "motion")
WANTED: Mapping[str, float] = {
    "background": 98.0,
    "color": 97.0,
    "size": 95.0,
    "shape": 95.0,
    "motion": 93.0,
    "sound": 95.0,
}
"""Percent right, for prompts whose triple occurs in training."""

WANTED_HELD_OUT: Mapping[str, float] = {"color, shape, motion": 80.0}


def adherence(
    events: Sequence[object],
    readings: Sequence[object],
    *,
    attributes: Sequence[str] = (*WANTED, "speed"),
    wanted: Mapping[str, float] = WANTED,
    name: str = "adherence",
    title: str = "Adherence, seen triples",
) -> Result:
    """Percent of clips whose reading has the event's value, attribute by attribute.

    `events` hold what was asked for and `readings` what a judge read, each under the same attribute
    names; then come the percent with (color, shape, motion) all right, and with everything right.
    """
    _check_pairs(events, readings)
    pairs = list(zip(events, readings, strict=True))
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in attributes}
    groups |= {", ".join(TRIPLE): TRIPLE, "all": tuple(attributes)}
    figures = tuple(
        Figure(
            name=group,
            value=100 * sum(_agree(event, reading, names) for event, reading in pairs) / len(pairs),
            unit="%",
            wanted=wanted.get(group),
            count=len(pairs),
        )
        for group, names in groups.items()
    )
    return Result(name=name, title=title, figures=figures)


def adherence_held_out(events: Sequence[object], readings: Sequence[object]) -> Result:
    """The same for prompts whose (color, shape, motion) never occurred in training."""
    return adherence(
        events,
        readings,
        wanted=WANTED_HELD_OUT,
        name="adherence_held_out",
        title="Adherence, held-out triples",
    )


def confusions(
    events: Sequence[object], readings: Sequence[object], *, attribute: str
) -> dict[tuple[str, str], int]:
    """How often one value was asked for and another read, the most frequent pair first."""
    _check_pairs(events, readings)
    counts: dict[tuple[str, str], int] = {}
    for event, reading in zip(events, readings, strict=True):
        pair = str(getattr(event, attribute)), str(getattr(reading, attribute))
        if pair[0] != pair[1]:
            counts[pair] = counts.get(pair, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _agree(event: object, reading: object, names: Sequence[str]) -> bool:
    return all(getattr(event, name) == getattr(reading, name) for name in names)


def _check_pairs(events: Sequence[object], readings: Sequence[object]) -> None:
    if len(events) != len(readings) or not events:
        raise ValueError(
            f"got {len(events)} events and {len(readings)} readings; "
            "adherence needs one reading for each event, and at least one"
        )
