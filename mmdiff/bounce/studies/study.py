"""Study: one part of an evaluation; and the stage on which every study makes its clips."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmdiff.bounce.judge import judge
from mmdiff.bounce.rebuilt import rebuilt_frames
from mmdiff.bounce.studies.gallery import save_given, save_page
from mmdiff.bounce.studies.truth import Ask, Made, Truth, draw_truths
from mmdiff.evaluation.evaluation import Evaluation, EvaluationRun
from mmdiff.evaluation.result import Figure, Result
from mmdiff.media.clip import Clip
from mmdiff.values.checks import check_sizes
from mmdiff.values.shapes import ClipShape
from mmdiff.values.usage_error import UsageError, nearest


@dataclass(frozen=True)
class Stage:
    """A run, and the true clips that all its studies share: `num_clips` a row of a table."""

    run: EvaluationRun
    num_clips: int
    prompt_seed: int

    @property
    def shape(self) -> ClipShape:
        """Of the clips that the checkpoint makes when nothing else is said."""
        config, grid = self.run.pipe.config, self.run.pipe.latent_grid
        return ClipShape(
            num_frames=config.default_num_frames,
            height=config.default_height,
            width=config.default_width,
            frame_rate=grid.frame_rate,
            sample_rate=grid.sample_rate,
        )

    def truths(self, *, is_sounding: bool = False, at_most: int | None = None) -> list[Truth]:
        """True clips of events that no training run has drawn, all or only those with pings."""
        count = self.num_clips if at_most is None else min(self.num_clips, at_most)
        return draw_truths(count, self.prompt_seed, shape=self.shape, is_sounding=is_sounding)

    def rebuilt(self, truths: Sequence[Truth]) -> list[Tensor]:
        """The frames of true clips, through the video autoencoder and back: as good as it gets."""
        frames: list[Tensor] = []
        for _, batch in self.run.batches("autoencoder", truths):
            frames += rebuilt_frames(self.run.pipe, torch.stack([truth.frames for truth in batch]))
        return frames

    def result(
        self,
        name: str,
        title: str,
        truths: Sequence[Truth],
        ask: Ask,
        measure: Callable[[Sequence[Made]], Iterable[Figure]],
    ) -> Result:
        """The figures of one clip a truth; clip i has the seed of the run plus i."""
        return Result(name, title, tuple(measure(self.make(title, truths, ask))))

    def make(self, label: str, truths: Sequence[Truth], ask: Ask, **settings: Any) -> list[Made]:
        """One clip a truth, with these arguments of the pipeline."""
        made: list[Made] = []
        for first, batch in self.run.batches(label, truths):
            made += read(batch, self.make_batch(batch, ask, first=first, **settings))
        return made

    def make_batch(
        self, truths: Sequence[Truth], ask: Ask, *, first: int = 0, **settings: Any
    ) -> list[Clip]:
        """The clips of one call; `first` is the row of the first of them in its table."""
        asked = [ask(truth) for truth in truths]
        if any(one.conditions for one in asked):
            settings["conditions"] = [list(one.conditions) for one in asked]
        seeds = self.run.seeds(first, len(asked))
        return self.run.make([one.prompt for one in asked], seeds, settings)

    def show(self, name: str, truth: Truth, ask: Ask) -> None:
        """A page of the gallery: one clip, made of what is given as it lies in files."""
        run, folder = self.run, self.run.folder / "gallery"
        given = ask(truth).given
        names = [name] if len(given) == 1 else [f"{name}.{index}" for index in range(len(given))]
        paths = [save_given(folder, *one) for one in zip(given, names, strict=True)]
        if len(paths) == 1:
            truth = replace(truth, clip=_as_read(truth.clip, paths[0]))
        asked = ask(truth)
        words = [word.format(*paths) for word in asked.words]
        words += [] if run.checkpoint is None else [f"checkpoint={run.checkpoint}"]
        clip = self.make_batch([truth], ask)[0]
        save_page(folder, clip, name, prompt=asked.prompt, words=[*words, f"seed={run.seed}"])


class Study(ABC):
    """One part of an evaluation: frozen settings, measured on a stage."""

    @abstractmethod
    def results(self, stage: Stage) -> Iterator[Result]:
        """One table after the other, as each is finished."""


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
        check_sizes(num_clips=num_clips)
        chosen = list(studies if only is None else only)
        for name in set(chosen) - set(studies):
            near = nearest(name, list(studies))
            raise UsageError(
                f"evaluation.only names {name}; the studies are {', '.join(studies)}",
                nearest=f"evaluation.only=[{near}]" if near else "",
            )
        self.studies = {name: studies[name] for name in chosen}
        self.num_clips, self.prompt_seed = num_clips, prompt_seed

    def results(self, run: EvaluationRun) -> Iterator[Result]:
        """Every table of every study, each with how long it took."""
        stage = Stage(run, num_clips=self.num_clips, prompt_seed=self.prompt_seed)
        for study in self.studies.values():
            began = time.perf_counter()
            for result in study.results(stage):
                took = Figure("time", (time.perf_counter() - began) / 60, "minutes")
                yield replace(result, figures=(*result.figures, took))
                began = time.perf_counter()


def read(truths: Sequence[Truth], clips: Sequence[Clip]) -> list[Made]:
    """The clips as the judge reads them."""
    pairs = zip(truths, clips, strict=True)
    return [Made(truth, clip, judge(clip)) for truth, clip in pairs]


def _as_read(clip: Clip, path: Path) -> Clip:
    """`clip` with the modalities that a sound or video file holds as they come out of it."""
    if path.suffix == ".png":
        return clip  # nothing is lost in it
    found = Clip.load(path)
    frames = clip.frames if found.frames is None else found.frames
    waveform = clip.waveform if found.waveform is None else found.waveform[:, : clip.num_samples]
    return replace(clip, frames=frames, waveform=waveform)
