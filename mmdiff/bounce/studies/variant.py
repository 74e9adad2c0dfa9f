"""Variants of guidance, made side by side: equal prompts, equal seeds, one after the other in every
batch, so that their times can be compared."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmdiff.bounce.studies.study import Ask, Stage
from mmdiff.bounce.studies.truth import Truth
from mmdiff.guidance.backbone_guiders import ModalityGuidance
from mmdiff.guidance.frame_consistency import FrameConsistency
from mmdiff.media.clip import Clip

BASELINE = "classifier-free alone"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is added to classifier-free guidance at the checkpoint's own scales.

    is_bound: whether the study's bounds are held against it; the others are for information.
    """

    guiders: Sequence[Any] = ()
    is_bound: bool = False


@dataclass(frozen=True)
class Batch:
    """What one variant made of one batch, in how many seconds."""

    name: str
    truths: Sequence[Truth]
    clips: Sequence[Clip]
    seconds: float


def side_by_side(
    stage: Stage,
    truths: Sequence[Truth],
    ask: Ask,
    *,
    variants: Mapping[str, Variant],
    settings: Mapping[str, Any],
    label: str,
) -> Iterator[Batch]:
    """Every batch of every variant, the baseline among them; each batch begins with another."""
    every = {BASELINE: Variant(), **variants}
    names = list(every)
    size = stage.run.batch_size
    _make(stage, truths[:1], ask, every[BASELINE], settings=settings)  # what loads, loads now
    for index, first in enumerate(range(0, len(truths), size)):
        batch = truths[first : first + size]
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            began = time.perf_counter()
            clips = _make(stage, batch, ask, every[name], settings=settings, first=first)
            yield Batch(name, batch, clips, time.perf_counter() - began)
        stage.run.progress(label, first + len(batch), len(truths))


def guiders_of(variant: Variant) -> list[Any]:
    """What the variant adds; and nothing else, whatever the checkpoint does by default."""
    absent = [
        kind(0.0)
        for kind in (FrameConsistency, ModalityGuidance)
        if not any(isinstance(guider, kind) for guider in variant.guiders)
    ]
    return [*variant.guiders, *absent]


def _make(
    stage: Stage,
    truths: Sequence[Truth],
    ask: Ask,
    variant: Variant,
    *,
    settings: Mapping[str, Any],
    first: int = 0,
) -> list[Clip]:
    guided = {**settings, "guidance": guiders_of(variant)}
    return stage.make_batch(truths, ask, first=first, settings=guided)


def gathered(
    batches: Iterator[Batch], measure: Callable[[Truth, Clip], Any]
) -> tuple[dict[str, list[Any]], dict[str, float]]:
    """What was measured of each clip, and the seconds a clip, by variant."""
    found: dict[str, list[Any]] = {}
    seconds: dict[str, float] = {}
    for batch in batches:
        pairs = zip(batch.truths, batch.clips, strict=True)
        found.setdefault(batch.name, []).extend(measure(truth, clip) for truth, clip in pairs)
        seconds[batch.name] = seconds.get(batch.name, 0.0) + batch.seconds
    return found, {name: seconds[name] / len(found[name]) for name in found}
