"""Studies: an evaluation made of parts, each a node of the YAML by its name."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mmdiff.bounce.studies.study import Stage, Study
from mmdiff.evaluation.evaluation import Evaluation, EvaluationRun
from mmdiff.evaluation.result import Figure, Result
from mmdiff.values.usage_error import UsageError, nearest


class Studies(Evaluation):
    """The studies one after the other, on the same true clips.

    num_clips: a row of a table.
    only: names of the studies to run; None runs all.
    """

    def __init__(
        self,
        *,
        studies: Mapping[str, Study],
        num_clips: int = 200,
        prompt_seed: int = 2024,
        only: Sequence[str] | None = None,
    ) -> None:
        unknown = [name for name in only or () if name not in studies]
        if unknown:
            near = nearest(unknown[0], list(studies))
            raise UsageError(
                f"evaluation.only names {unknown[0]}; the studies are {', '.join(studies)}",
                key="evaluation.only",
                nearest=f"evaluation.only=[{near}]" if near else "",
            )
        if num_clips < 1:
            raise UsageError(
                f"evaluation.num_clips is {num_clips}; a row needs 1 clip or more",
                key="evaluation.num_clips",
                nearest="evaluation.num_clips=1",
            )
        chosen = list(studies) if only is None else list(only)
        self.studies = {name: studies[name] for name in chosen}
        self.num_clips, self.prompt_seed = num_clips, prompt_seed

    def results(self, run: EvaluationRun) -> Iterator[Result]:
        """Every table of every study, each with how long it took."""
        stage = Stage(run, num_clips=self.num_clips, prompt_seed=self.prompt_seed)
        for study in self.studies.values():
            began = time.perf_counter()
            for result in study.results(stage):
                minutes = (time.perf_counter() - began) / 60
                took = Figure("time", minutes, "minutes")
                yield replace(result, figures=(*result.figures, took))
                began = time.perf_counter()
