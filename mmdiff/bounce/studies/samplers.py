"""Samplers: adherence against the number of steps, for each scheduler."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mmdiff.bounce.adherence import WANTED, agree, attribute_figures
from mmdiff.bounce.studies.study import Stage, Study
from mmdiff.bounce.studies.truth import Asked, Made, Truth
from mmdiff.evaluation.plot import save_curves
from mmdiff.evaluation.result import Figure, Result, mean

# percent of the attributes right, clip by clip, by sampler and number of steps
Scores = dict[str, dict[int, list[float]]]
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

    def figures(self, found: Scores) -> list[Figure]:
        """The difference, on the prompts that both were asked; nothing where one was not
        measured."""
        mine = found.get(self.sampler, {}).get(self.steps)
        theirs = {
            name: scores[self.other_steps]
            for name, scores in found.items()
            if self.other_steps in scores and (self.others is None or name in self.others)
        }
        if mine is None or not theirs:
            return []
        best = max(theirs, key=lambda name: mean(theirs[name]))
        count = min(len(mine), len(theirs[best]))
        points = mean(theirs[best][:count]) - mean(mine[:count])
        points = abs(points) if self.is_agreement else points
        relation = "away from" if self.is_agreement else "below"
        name = f"{self.sampler} at {self.steps} {relation} {best} at {self.other_steps}"
        return [Figure(name, points, "points", self.points, "lower", count)]


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
            truths = stage.truths(at_most=self.other_clips.get(name, self.num_clips))
            figures: list[Figure] = []
            for steps in self.other_steps.get(name, self.steps):
                began = time.perf_counter()
                made = make_with(stage, scheduler, f"{name}, {steps} steps", truths, steps=steps)
                seconds = (time.perf_counter() - began) / len(truths)
                found.setdefault(name, {})[steps] = [score(one) for one in made]
                rows = [*attributes(made), Figure("time", seconds, "s a clip", count=len(made))]
                figures += [replace(row, name=f"{steps} steps: {row.name}") for row in rows]
            yield Result(f"sampler_{name}", f"Sampler {name}", tuple(figures))
        figures = [figure for bound in self.bounds for figure in bound.figures(found)]
        if figures:
            yield Result("samplers", "Samplers against each other", tuple(figures))
        save_curves(
            {
                name: {steps: mean(scores) for steps, scores in row.items()}
                for name, row in found.items()
            },
            stage.run.folder / "samplers.png",
            x_label="steps",
            y_label=f"{TOGETHER}, %",
            title="Adherence by sampler",
            is_logarithmic=True,
        )


def make_with(
    stage: Stage, scheduler: Any, label: str, truths: Sequence[Truth], *, steps: int
) -> list[Made]:
    """Clips with this scheduler in the pipeline, which gets its own back."""
    pipe = stage.run.pipe
    before = pipe.scheduler, pipe.audio_scheduler
    pipe.scheduler, pipe.audio_scheduler = scheduler, None
    try:
        return stage.make(label, truths, ask, num_inference_steps=steps)
    finally:
        pipe.scheduler, pipe.audio_scheduler = before


def attributes(made: Sequence[Made]) -> list[Figure]:
    """The mean of the attributes, and each."""
    each = attribute_figures([one.pair for one in made])
    together = Figure(TOGETHER, mean([figure.value for figure in each]), "%", count=len(made))
    return [together, *each]


def score(made: Made) -> float:
    """Percent of the attributes that are as asked."""
    right = [agree(*made.pair, (name,)) for name in WANTED]
    return 100 * sum(right) / len(right)


def ask(truth: Truth) -> Asked:
    return Asked(truth.prompt)
