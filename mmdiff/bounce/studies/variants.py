"""Variants of guidance, made side by side: equal prompts, equal seeds, one after the other in every
batch, so that their times can be compared."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mmdiff.bounce.studies.study import Stage, read
from mmdiff.bounce.studies.truth import Ask, Made, Truth
from mmdiff.guidance.backbone_guiders import ModalityGuidance
from mmdiff.guidance.frame_consistency import FrameConsistency

BASELINE = "classifier-free alone"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is added to classifier-free guidance at the checkpoint's own scales.

    is_bound: whether the study's bounds are held against it; the others are for information.
    """

    guiders: Sequence[Any] = ()
    is_bound: bool = False

    def all_guiders(self) -> list[Any]:
        """What the variant adds; and nothing else, whatever the checkpoint does by default."""
        defaults = (FrameConsistency, ModalityGuidance)
        added = [type(guider) for guider in self.guiders]
        return [*self.guiders, *(guider(0.0) for guider in defaults if guider not in added)]


@dataclass
class Measured(Generic[T]):
    """Of one variant: what was measured of each clip, and the seconds that all took to make."""

    of_each: list[T]
    seconds: float = 0.0

    @property
    def seconds_a_clip(self) -> float:
        return self.seconds / len(self.of_each)


def side_by_side(
    stage: Stage,
    label: str,
    truths: Sequence[Truth],
    ask: Ask,
    variants: Mapping[str, Variant],
    measure: Callable[[Made], T],
    **settings: Any,
) -> dict[str, Measured[T]]:
    """The baseline, then the variants, by name; `settings` are arguments of the pipeline."""
    guiders = {name: v.all_guiders() for name, v in {BASELINE: Variant(), **variants}.items()}
    found: dict[str, Measured[T]] = {name: Measured([]) for name in guiders}
    names = list(guiders)
    # what is loaded or compiled at the first call is so now, outside the times
    stage.make_batch(truths[:1], ask, guidance=guiders[BASELINE], **settings)
    for first, batch in stage.run.batches(label, truths):
        shift = first // stage.run.batch_size % len(names)  # none is always the first of its batch
        for name in names[shift:] + names[:shift]:
            began = time.perf_counter()
            clips = stage.make_batch(batch, ask, first=first, guidance=guiders[name], **settings)
            found[name].seconds += time.perf_counter() - began
            found[name].of_each += map(measure, read(batch, clips))
    return found
