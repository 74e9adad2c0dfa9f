"""Stages without a model: what is made is answered by a function of the truth and what is asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from mmdiff.bounce.studies.study import Ask, Asked, Stage
from mmdiff.bounce.studies.truth import Truth, frames_of
from mmdiff.evaluation.evaluation import EvaluationRun
from mmdiff.media.clip import Clip

Answer = Callable[[Truth, Asked], Clip]

CONFIG = {
    "default_num_frames": 33,
    "default_height": 64,
    "default_width": 64,
    "default_num_inference_steps": 4,
    "default_guidance_scale": 3.0,
    "default_audio_guidance_scale": None,
    "default_guidance_rescale": 0.0,
}


@dataclass(frozen=True)
class AnsweredStage(Stage):
    """Records every call in `calls`."""

    answer: Answer = field(kw_only=True)
    calls: list[Mapping[str, Any]] = field(default_factory=list, kw_only=True)

    def make_batch(
        self,
        truths: Sequence[Truth],
        ask: Ask,
        *,
        first: int = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> list[Clip]:
        self.calls.append({"count": len(truths), "first": first, **(settings or {})})
        return [self.answer(truth, ask(truth)) for truth in truths]

    def rebuilt(self, truths: Sequence[Truth]) -> list[Tensor]:
        """An autoencoder that loses nothing."""
        return [frames_of(truth) for truth in truths]


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
