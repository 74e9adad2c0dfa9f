"""Study: one part of an evaluation; and the stage on which every study makes its clips."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmdiff.bounce.studies.gallery import Gallery
from mmdiff.bounce.studies.rebuilt import rebuilt_frames
from mmdiff.bounce.studies.truth import Truth, draw_truths, frames_of
from mmdiff.evaluation.evaluation import EvaluationRun
from mmdiff.evaluation.result import Result
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape

if TYPE_CHECKING:
    from mmdiff.conditioning.condition import Condition


@dataclass(frozen=True)
class Asked:
    """What is asked of the pipeline for one clip."""

    prompt: str
    conditions: "tuple[Condition, ...]" = ()


Ask = Callable[[Truth], Asked]


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
        run, frames = self.run, list[Tensor]()
        for first in range(0, len(truths), run.batch_size):
            batch = torch.stack([frames_of(t) for t in truths[first : first + run.batch_size]])
            frames += list(rebuilt_frames(run.pipe, batch))
            run.progress("autoencoder", len(frames), len(truths))
        return frames

    def make(
        self,
        name: str,
        truths: Sequence[Truth],
        ask: Ask,
        *,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Clip]:
        """One clip a truth, in batches; clip i has the seed of the run plus i."""
        run, clips = self.run, list[Clip]()
        for first in range(0, len(truths), run.batch_size):
            batch = truths[first : first + run.batch_size]
            clips += self.make_batch(batch, ask, first=first, settings=settings)
            run.progress(name, len(clips), len(truths))
        return clips

    def make_batch(
        self,
        truths: Sequence[Truth],
        ask: Ask,
        *,
        first: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Clip]:
        """The clips of one call; `first` is the row of the first of them in its table."""
        asked = [ask(truth) for truth in truths]
        seeds = [self.run.seed + first + row for row in range(len(asked))]
        arguments = dict(settings or {})
        if any(one.conditions for one in asked):
            arguments["conditions"] = [list(one.conditions) for one in asked]
        return self.run.make([one.prompt for one in asked], seeds, arguments)

    def show(
        self,
        name: str,
        truth: Truth,
        ask: Ask,
        *,
        given: Sequence[Clip],
        words: Callable[[Sequence[Path]], Sequence[str]],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """A storyboard of one clip, made from `given` as it lies in files, with its command.

        words: (those files) -> the conditions as words of the command line.
        """
        run, gallery = self.run, Gallery(self.run.folder)
        paths = [
            gallery.save_given(clip, name if len(given) == 1 else f"{name}.{index}")
            for index, clip in enumerate(given)
        ]
        read = replace(truth, clip=_as_read(truth.clip, paths[0])) if len(given) == 1 else truth
        clip = self.make_batch([read], ask, settings=settings)[0]
        chosen = [] if run.checkpoint is None else [f"checkpoint={run.checkpoint}"]
        command = [*words(paths), *chosen, f"seed={run.seed}"]
        gallery.add(name, clip, prompt=ask(read).prompt, words=command)


class Study(ABC):
    """One part of an evaluation: frozen settings, measured on a stage."""

    @abstractmethod
    def results(self, stage: Stage) -> Iterator[Result]:
        """One table after the other, as each is finished."""


def _as_read(clip: Clip, path: Path) -> Clip:
    """`clip` with the halves that a sound or a video file holds as they come out of it."""
    if path.suffix == ".png":
        return clip  # nothing is lost in it
    read = Clip.load(path)
    frames = clip.frames if read.frames is None else read.frames
    if read.waveform is None:
        return replace(clip, frames=frames)
    return replace(clip, frames=frames, waveform=read.waveform[:, : clip.num_samples])


def mean(values: Sequence[float]) -> float:
    """NaN of nothing."""
    return sum(values) / len(values) if values else float("nan")
