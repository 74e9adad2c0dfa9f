"""Samplers: adherence against the number of steps, for each scheduler."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmdiff.bounce.adherence import WANTED, adherence
from mmdiff.bounce.judge import Reading, judge
from mmdiff.bounce.studies.study import Asked, Stage, Study, mean
from mmdiff.bounce.studies.truth import Truth
from mmdiff.evaluation.plot import Curve, save_curves
from mmdiff.evaluation.result import Figure, Result

Scores = dict[str, dict[int, list[float]]]
"""Percent of the attributes right, clip by clip, by sampler and number of steps."""

TOGETHER = "mean of the attributes"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """The adherence of a sampler at a number of steps, against that of others.

    others: samplers to compare with; None: all. At `other_steps` the best of them counts; the bound
    is how many points it may be above (and with `is_agreement`, below as well).
    """

    sampler: str
    steps: int
    other_steps: int
    others: Sequence[str] | None = None
    points: float = 2.0
    is_agreement: bool = False


@dataclass(frozen=True, kw_only=True)
class SamplerStudy(Study):
    """One table a scheduler, a row for each number of steps; then the bounds, and a plot.

    num_clips: prompts for each number of steps, at most.
    other_steps, other_clips: of samplers that are measured at other numbers than the rest.
    """

    samplers: Mapping[str, Any]
    steps: Sequence[int] = (5, 10, 15, 20, 50)
    num_clips: int = 64
    other_steps: Mapping[str, Sequence[int]] = field(default_factory=dict)
    other_clips: Mapping[str, int] = field(default_factory=dict)
    bounds: Sequence[Bound] = ()

    def results(self, stage: Stage) -> Iterator[Result]:
        found: Scores = {}
        for name, scheduler in self.samplers.items():
            count = self.other_clips.get(name, self.num_clips)
            truths = stage.truths(at_most=count)
            figures: list[Figure] = []
            for steps in self.other_steps.get(name, self.steps):
                began = time.perf_counter()
                readings = self.readings(stage, truths, name=name, scheduler=scheduler, steps=steps)
                seconds = (time.perf_counter() - began) / len(truths)
                scores = [score(t, r) for t, r in zip(truths, readings, strict=True)]
                found.setdefault(name, {})[steps] = scores
                figures += rows(truths, readings, steps=steps, seconds=seconds)
            yield Result(f"sampler_{name}", f"Sampler {name}", tuple(figures))
        figures = [figure for bound in self.bounds for figure in bounded(bound, found)]
        if figures:
            yield Result("samplers", "Samplers against each other", tuple(figures))
        curves = [
            Curve(name, list(row), [mean(scores) for scores in row.values()])
            for name, row in found.items()
        ]
        save_curves(
            curves,
            stage.run.folder / "samplers.png",
            x_label="steps",
            y_label=f"{TOGETHER}, %",
            title="Adherence by sampler",
            is_logarithmic=True,
        )

    def readings(
        self, stage: Stage, truths: Sequence[Truth], *, name: str, scheduler: Any, steps: int
    ) -> list[Reading]:
        """What the judge reads with this scheduler in the pipeline, which gets its own back."""
        pipe = stage.run.pipe
        before = pipe.scheduler, pipe.audio_scheduler
        pipe.scheduler, pipe.audio_scheduler = scheduler, None
        try:
            clips = stage.make(
                f"{name}, {steps} steps", truths, ask, settings={"num_inference_steps": steps}
            )
        finally:
            pipe.scheduler, pipe.audio_scheduler = before
        return [judge(clip) for clip in clips]


def rows(
    truths: Sequence[Truth], readings: Sequence[Reading], *, steps: int, seconds: float
) -> list[Figure]:
    """Each attribute's figure, their mean, and the time."""
    read = adherence([truth.event for truth in truths], readings, wanted={})
    each = [figure for figure in read.figures if figure.name in WANTED]
    count = len(truths)
    return [
        Figure(f"{steps} steps: {TOGETHER}", mean([f.value for f in each]), "%", count=count),
        *(Figure(f"{steps} steps: {f.name}", f.value, "%", count=count) for f in each),
        Figure(f"{steps} steps: time", seconds, "s a clip", count=count),
    ]


def score(truth: Truth, reading: Reading) -> float:
    """Percent of the attributes that are as asked."""
    right = [getattr(truth.event, name) == getattr(reading, name) for name in WANTED]
    return 100 * sum(right) / len(right)


def bounded(bound: Bound, found: Scores) -> list[Figure]:
    """The difference that a bound is about, on the prompts that both were asked; nothing where
    one was not measured."""
    mine = found.get(bound.sampler, {}).get(bound.steps)
    names = list(found) if bound.others is None else bound.others
    theirs = {
        name: found[name][bound.other_steps]
        for name in names
        if bound.other_steps in found.get(name, {})
    }
    if mine is None or not theirs:
        return []
    best = max(theirs, key=lambda name: mean(theirs[name]))
    count = min(len(mine), len(theirs[best]))
    points = mean(theirs[best][:count]) - mean(mine[:count])
    points = abs(points) if bound.is_agreement else points
    relation = "away from" if bound.is_agreement else "below"
    name = f"{bound.sampler} at {bound.steps} {relation} {best} at {bound.other_steps}"
    return [Figure(name, points, "points", bound.points, "lower", count)]


def ask(truth: Truth) -> Asked:
    return Asked(truth.prompt)
