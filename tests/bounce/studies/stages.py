"""Stages without a model: what is made is answered by a function of the truth and what is asked;
and two such models, one that is always right and one that takes no notice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from mmdiff.bounce.draw import draw
from mmdiff.bounce.studies.study import Stage
from mmdiff.bounce.studies.truth import Ask, Asked, Truth
from mmdiff.conditioning.extend import Extend
from mmdiff.evaluation.evaluation import EvaluationRun
from mmdiff.evaluation.result import Result
from mmdiff.media.clip import Clip

Answer = Callable[[Truth, Asked], Clip]

CONFIG = {
    "default_num_frames": 33,
    "default_height": 64,
    "default_width": 64,
    "default_num_inference_steps": 4,
}


@dataclass(frozen=True)
class AnsweredStage(Stage):
    """Records every call in `calls`."""

    answer: Answer = field(kw_only=True)
    calls: list[Mapping[str, Any]] = field(default_factory=list, kw_only=True)

    def make_batch(
        self, truths: Sequence[Truth], ask: Ask, *, first: int = 0, **settings: Any
    ) -> list[Clip]:
        self.calls.append({"count": len(truths), "first": first, **settings})
        return [self.answer(truth, ask(truth)) for truth in truths]

    def rebuilt(self, truths: Sequence[Truth]) -> list[Tensor]:
        """An autoencoder that loses nothing."""
        return [truth.frames for truth in truths]


def answered_stage(answer: Answer, folder: Path, *, num_clips: int = 6) -> AnsweredStage:
    grid = SimpleNamespace(frame_rate=Fraction(16), sample_rate=16_000)
    pipe = SimpleNamespace(
        config=SimpleNamespace(**CONFIG), latent_grid=grid, scheduler="own", audio_scheduler=None
    )
    run = EvaluationRun(
        pipe,  # type: ignore[arg-type]
        lambda texts, seeds, settings: [],
        seed=5,
        batch_size=8,
        progress=lambda name, done, total: None,
        folder=folder,
    )
    return AnsweredStage(run, num_clips, prompt_seed=7, answer=answer)


def results(study: Any, answer: Answer, folder: Path) -> list[Result]:
    return list(study.results(answered_stage(answer, folder)))


def perfect(truth: Truth, asked: Asked) -> Clip:
    """The true clip; longer, where it is to be extended."""
    extend = [one for one in asked.conditions if isinstance(one, Extend)]
    if not extend:
        return truth.clip
    count = round(16 * (extend[0].before_seconds + extend[0].after_seconds))
    if extend[0].after_seconds:
        stage = answered_stage(perfect, Path())
        return draw(truth.event, replace(stage.shape, num_frames=33 + count))
    before = truth.frames[1 : count + 1].flip(0)  # as if time ran back: it meets its beginning
    waveform = torch.nn.functional.pad(truth.clip.waveform, (count * 1000, 0))
    return replace(truth.clip, frames=torch.cat([before, truth.frames]), waveform=waveform)


def heedless(truth: Truth, asked: Asked) -> Clip:
    """The same gray noise and the same three pings for all, as long as it has to be."""
    made = perfect(truth, asked)
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 255, made.frames.shape, generator=generator, dtype=torch.uint8)
    waveform = torch.zeros_like(made.waveform)
    tone = torch.sin(torch.arange(1600) * 0.9) * torch.linspace(1, 0, 1600)
    for start in (3000, 12_345, 26_000):
        waveform[:, start : start + 1600] = 0.5 * tone
    return replace(made, frames=frames, waveform=waveform)
