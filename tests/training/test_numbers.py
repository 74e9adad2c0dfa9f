"""What must not change the numbers, and what must not make them overflow."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from mmdiff.data.batch import LatentBatch
from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.callbacks.finite_guard import FiniteGuard, NonFinite
from mmdiff.training.diffusion_module import DiffusionModule
from mmdiff.values.latents import ClipLatents
from tests.distributed.processes import run_ranks
from tests.training.tiny import assert_equal, state, train
from tests.training.tiny_diffusion import CAPTIONS, tiny_diffusion


class Latents:
    """Two dozen clips of noise."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, number: int) -> tuple[int, ClipLatents]:
        generator = torch.Generator().manual_seed(number % 24)
        shapes = ((4, 2, 4, 4), (2, 8, 4))
        return number, ClipLatents(*(torch.randn(s, generator=generator) for s in shapes))

    def collate(self, items: Sequence[tuple[int, ClipLatents]]) -> LatentBatch:
        video = torch.stack([clip.video for _, clip in items if clip.video is not None])
        audio = torch.stack([clip.audio for _, clip in items if clip.audio is not None])
        captions = tuple(CAPTIONS[number % 2] for number, _ in items)
        return LatentBatch(ClipLatents(video, audio), captions, tuple(n for n, _ in items))


def _module() -> DiffusionModule:
    """What starts at zero is moved, so that all of it has a gradient."""
    return tiny_diffusion(perturbation=0.02)


class KeepGradient(Callback):
    """The gradient of the first step, all parameters in one."""

    def __init__(self) -> None:
        self.gradient = torch.zeros(0)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        parameters = [p for p in pl_module.parameters() if p.grad is not None]
        self.gradient = torch.cat([p.grad.ravel() for p in parameters])


def _gradient(folder: Path, *, checkpointing: bool = False, **settings: Any) -> Tensor:
    module, keep = _module(), KeepGradient()
    if checkpointing:
        module.trained["transformer"].enable_gradient_checkpointing()
    train(folder, 1, module=module, dataset=Latents(), callbacks=[keep], every=None, **settings)
    assert keep.gradient.norm() > 0
    return keep.gradient


def test_n6_checkpointing_and_accumulation_leave_the_gradient(tmp_path: Path) -> None:
    """To 1e-6 of its norm."""
    whole = _gradient(tmp_path / "whole", batch_size=12)
    checkpointed = _gradient(tmp_path / "checkpointed", batch_size=12, checkpointing=True)
    accumulated = _gradient(tmp_path / "accumulated", batch_size=4, accumulate=3)
    assert float((checkpointed - whole).norm() / whole.norm()) <= 1e-6
    assert float((accumulated - whole).norm() / whole.norm()) <= 1e-6


def test_n6_two_ranks_have_the_gradient_of_one(tmp_path: Path) -> None:
    """To 1e-6 of its norm, on both."""

    def rank() -> list[float]:
        strategy = data_parallel(backend="gloo", timeout_seconds=20)
        gradient = _gradient(tmp_path / "two", batch_size=12, devices=2, strategy=strategy)
        return gradient.tolist()

    whole = _gradient(tmp_path / "whole", batch_size=12)
    for gradient in run_ranks(rank, 2):
        assert float((torch.tensor(gradient) - whole).norm() / whole.norm()) <= 1e-6


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_n4_two_hundred_steps_stay_finite(tmp_path: Path, precision: Any) -> None:
    """16-mixed is for GPUs: on a CPU, Lightning takes bf16-mixed for it."""
    module = _module()
    callbacks = [FiniteGuard()]  # raises at the first that is not
    settings: dict[str, Any] = {"precision": precision, "callbacks": callbacks, "every": None}
    train(tmp_path, 200, module=module, dataset=Latents(), batch_size=2, **settings)
    assert module.global_step == 200
    assert all(parameter.isfinite().all() for parameter in module.parameters())


def test_n1_the_modality_with_the_bad_loss_is_named(tmp_path: Path) -> None:
    module = _module()

    def spoilt(_transformer: object, _inputs: object, prediction: ClipLatents) -> ClipLatents:
        assert prediction.audio is not None
        is_bad = module.global_step == 1
        return replace(prediction, audio=prediction.audio * (torch.nan if is_bad else 1.0))

    module.trained["transformer"].register_forward_hook(spoilt)
    with pytest.raises(NonFinite, match="step 1: the loss of audio is not finite for samples"):
        train(tmp_path, 3, module=module, dataset=Latents(), callbacks=[FiniteGuard()])


@pytest.mark.parametrize("clip", [-1.0, float("nan")])
def test_clipping_that_turns_gradients_round_is_refused(tmp_path: Path, clip: float) -> None:
    with pytest.raises(ValueError, match=rf"gradient_clip_val is {clip}; it must be a finite"):
        train(tmp_path, 2, gradient_clip_val=clip)


def test_clipping_to_0_is_none(tmp_path: Path) -> None:
    train(tmp_path / "none", 3, gradient_clip_val=None)
    train(tmp_path / "zero", 3, gradient_clip_val=0)
    assert_equal(state(tmp_path / "zero"), state(tmp_path / "none"))
