"""Adherence: of what a prompt names, how much the judge reads in the clip."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.judge import Reading
from mmdiff.evaluation.result import Figure, Result, percent_figure
from mmdiff.evaluation.sync import sync

TRIPLE = ("color", "shape", "motion")
OBJECT = ("color", "shape", "size")
# percent right, for prompts whose triple occurs in training
WANTED: Mapping[str, float] = {
    "background": 98.0,
    "color": 97.0,
    "size": 95.0,
    "shape": 95.0,
    "motion": 93.0,
    "sound": 95.0,
}
WANTED_HELD_OUT: Mapping[str, float] = {", ".join(TRIPLE): 80.0}
Pair = tuple[Bounce, Reading]  # what a clip was asked to be, and what the judge read in it


def agree(event: Bounce, reading: Reading, names: Iterable[str] = WANTED) -> bool:
    """Whether all of these attributes are as asked."""
    return all(getattr(event, name) == getattr(reading, name) for name in names)


def attribute_figures(
    pairs: Sequence[Pair],
    names: Iterable[str] = WANTED,
    *,
    wanted: Mapping[str, float] = MappingProxyType({}),
) -> list[Figure]:
    """Percent of clips that have the attribute as asked, one figure each."""
    return [
        percent_figure(name, [agree(*pair, (name,)) for pair in pairs], wanted=wanted.get(name))
        for name in names
    ]


def adherence(
    name: str,
    title: str,
    pairs: Sequence[Pair],
    names: Sequence[str] = (*WANTED, "speed"),
    *,
    wanted: Mapping[str, float] = MappingProxyType({}),
) -> Result:
    """Each attribute, then (color, shape, motion) all right, then everything."""
    figures = attribute_figures(pairs, names, wanted=wanted)
    for group, several in ((", ".join(TRIPLE), TRIPLE), ("all", names)):
        is_right = [agree(*pair, several) for pair in pairs]
        figures.append(percent_figure(group, is_right, wanted=wanted.get(group)))
    return Result(name, title, tuple(figures))


def kept_figures(pairs: Sequence[Pair], *, wanted: float) -> list[Figure]:
    """The object (color, shape and size together, then each) and the background."""
    whole = [agree(*pair, OBJECT) for pair in pairs]
    background, *each = attribute_figures(pairs, ("background", *OBJECT))
    return [
        percent_figure("object (color, shape, size)", whole, wanted=wanted),
        replace(background, wanted=wanted),
        *each,
    ]


def impact_sync(
    pairs: Sequence[Pair], name: str = "sync", title: str = "Sync: impact to nearest onset"
) -> Result:
    """Of the clips that were asked for pings."""
    return sync(
        [reading.impacts for _, reading in pairs],
        [reading.onsets for _, reading in pairs],
        has_sound=[not event.is_silent for event, _ in pairs],
        name=name,
        title=title,
    )
