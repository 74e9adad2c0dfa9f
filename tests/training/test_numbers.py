"""What must not change the numbers, and what must not make them overflow."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.data.batch import LatentBatch
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.training.callbacks.finite_guard import FiniteGuard
from mmdiff.training.diffusion_module import DiffusionModule
from mmdiff.training.finite import NonFinite
from mmdiff.training.optimizers import MuonAdamW
from mmdiff.training.schedules import Constant
from mmdiff.training.text_model import small_text_model
from mmdiff.values.latents import ClipLatents
from tests.training.tiny import train

CAPTIONS = ["a red circle", "a blue square"]


class Latents:
    """Two dozen clips of noise."""

    def __len__(self) -> int:
        return 24

    def captions(self) -> list[str]:
        return CAPTIONS

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
    """The smallest model; what starts at zero is moved, so that all of it has a gradient."""
    torch.manual_seed(0)
    text = small_text_model(
        Latents(), 260, d_model=16, num_layers=1, num_heads=2, d_kv=8, d_ff=16, max_length=16
    )
    transformer = DiffusionTransformer(
        num_attention_heads=2,
        attention_head_dim=12,
        num_layers=2,
        text_dim=16,
        video_channels=4,
        audio_channels=2,
        audio_rows=4,
    )
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return DiffusionModule(
        transformer,
        text,
        DiffusionObjective(),
        optimizer=partial(MuonAdamW, lr=3e-3, adamw_lr=3e-3),
        lr_scheduler=partial(Constant),
        seed=0,
    )


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


def test_n4_two_hundred_steps_in_bf16_stay_finite(tmp_path: Path) -> None:
    module = _module()
    callbacks = [FiniteGuard()]  # raises at the first that is not
    settings: dict[str, Any] = {"precision": "bf16-mixed", "callbacks": callbacks, "every": None}
    train(tmp_path, 200, module=module, dataset=Latents(), batch_size=2, **settings)
    assert module.global_step == 200
    assert all(parameter.isfinite().all() for parameter in module.parameters())


def test_n1_the_modality_with_the_bad_loss_is_named(
    tmp_path: Path, faults: Callable[[str], None]
) -> None:
    faults("nan train.loss.audio step=1")
    with pytest.raises(NonFinite, match="step 1: the loss of audio is not finite for samples"):
        train(tmp_path, 3, module=_module(), dataset=Latents(), callbacks=[FiniteGuard()])
