"""The diffusion module on a tiny transformer: it learns, drops captions by key, and resumes
exactly."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch import Callback
from torch import Generator, Tensor

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.data.batch import LatentBatch
from mmdiff.data.datamodule import DataModule
from mmdiff.data.latent_cache import SCHEMA, LatentCache
from mmdiff.data.latent_clips import LatentClips
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.callbacks.finite_guard import FiniteGuard, NonFinite
from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.callbacks.save_components import SaveComponents
from mmdiff.training.checkpoint_folder import SafeCheckpointIO, latest_checkpoint
from mmdiff.training.diffusion_module import DiffusionModule
from mmdiff.training.schedules import WarmupDecay
from mmdiff.values.latents import ClipLatents
from mmdiff.values.sample import SampleFacts
from tests.distributed.processes import run_ranks
from tests.training.tiny import assert_equal, state, train
from tests.training.tiny_diffusion import CAPTIONS, tiny_diffusion


def _module(*, caption_dropout_given: float | None = None) -> DiffusionModule:
    return tiny_diffusion(
        lr_scheduler=partial(WarmupDecay, total_steps=100, warmup_steps=1),
        ema_decay=0.9,
        caption_dropout=0.3,
        caption_dropout_given=caption_dropout_given,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    generator = Generator().manual_seed(0)
    latents = ClipLatents(
        torch.randn(6, 4, 2, 4, 4, generator=generator),
        torch.randn(6, 2, 8, 4, generator=generator),
    )
    cache = LatentCache(tmp_path / "cache")
    cache.write_spec({"schema": SCHEMA, "components": {}})
    entries = [SampleFacts(f"{i}", "a red circle", f"{i}") for i in range(6)]
    cache.write_shard(latents, [entry.identity for entry in entries], torch.float16)
    cache.write_index(entries)
    return cache.folder


def _fit(cache: Path, folder: Path, steps: int) -> DiffusionModule:
    module = _module()
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        max_steps=steps,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        plugins=[SafeCheckpointIO()],
        callbacks=[
            FiniteGuard(),
            SaveComponents(str(folder / "components")),
            SaveCheckpoints(str(folder / "checkpoints"), every_n_steps=2),
        ],
    )
    checkpoints = folder / "checkpoints"
    path = latest_checkpoint(checkpoints) if checkpoints.is_dir() else None
    trainer.fit(module, DataModule(LatentClips(str(cache)), 3, seed=0), ckpt_path=path)
    return module


def test_f9_resumed_equals_unbroken(cache: Path, tmp_path: Path) -> None:
    _fit(cache, tmp_path / "whole", 5)
    for steps in (3, 5):
        _fit(cache, tmp_path / "parts", steps)
    assert_equal(state(tmp_path / "parts/checkpoints"), state(tmp_path / "whole/checkpoints"))


def test_all_weights_learn_and_components_are_averages(cache: Path, tmp_path: Path) -> None:
    before = dict(_module().trained.named_parameters())
    module = _fit(cache, tmp_path, 4)
    after = dict(module.trained.named_parameters())
    stuck = [name for name in after if torch.equal(before[name], after[name])]
    assert not stuck
    saved = DiffusionTransformer.from_pretrained(tmp_path / "components/transformer")
    average = module.ema.average["transformer"]
    for name, parameter in saved.named_parameters():
        assert torch.equal(parameter, average.get_parameter(name))
    assert not torch.equal(after["transformer.text_embed.0.weight"], saved.text_embed[0].weight)
    assert (tmp_path / "components/tokenizer/tokenizer.json").is_file()
    assert (tmp_path / "components/text_encoder/model.safetensors").is_file()


def test_captions_are_dropped_by_key() -> None:
    module = _module(caption_dropout_given=0.6)
    key, nothing = NoiseKey(0, 3, tuple(range(2000))), (False,) * 2000
    dropped = module.dropped_captions(key, nothing)
    assert 0.27 < dropped.float().mean() < 0.33
    part = NoiseKey(0, 3, tuple(range(100, 120)))
    assert torch.equal(module.dropped_captions(part, nothing[:20]), dropped[100:120])
    other = NoiseKey(0, 4, key.sample_ids)
    assert not torch.equal(module.dropped_captions(other, nothing), dropped)


def test_more_captions_are_dropped_where_something_is_given() -> None:
    module = _module(caption_dropout_given=0.6)
    key = NoiseKey(0, 3, tuple(range(2000)))
    dropped = module.dropped_captions(key, (True, False) * 1000).float()
    assert 0.55 < dropped[::2].mean() < 0.65
    assert 0.27 < dropped[1::2].mean() < 0.33
    with pytest.raises(ValueError, match="caption_dropout_given is 2"):
        _module(caption_dropout_given=2.0)


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


class KeepGradient(Callback):
    """The gradient of the first step, all parameters in one."""

    def __init__(self) -> None:
        self.gradient = torch.zeros(0)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        parameters = [p for p in pl_module.parameters() if p.grad is not None]
        self.gradient = torch.cat([p.grad.ravel() for p in parameters])


def _gradient(folder: Path, *, checkpointing: bool = False, **settings: Any) -> Tensor:
    module, keep = tiny_diffusion(perturbation=0.02), KeepGradient()
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


@pytest.mark.parametrize("steps", [40, pytest.param(200, marks=pytest.mark.faults)])
def test_n4_steps_in_half_precision_stay_finite(tmp_path: Path, steps: int) -> None:
    """16-mixed is for GPUs: on a CPU, Lightning takes bf16-mixed for it."""
    module = tiny_diffusion(perturbation=0.02)
    callbacks = [FiniteGuard()]  # raises at the first that is not
    settings: dict[str, Any] = {"precision": "bf16-mixed", "callbacks": callbacks, "every": None}
    train(tmp_path, steps, module=module, dataset=Latents(), batch_size=2, **settings)
    assert module.global_step == steps
    assert all(parameter.isfinite().all() for parameter in module.parameters())


def test_n1_the_modality_with_the_bad_loss_is_named(tmp_path: Path) -> None:
    module = tiny_diffusion(perturbation=0.02)

    def spoilt(_transformer: object, _inputs: object, prediction: ClipLatents) -> ClipLatents:
        assert prediction.audio is not None
        is_bad = module.global_step == 1
        return replace(prediction, audio=prediction.audio * (torch.nan if is_bad else 1.0))

    module.trained["transformer"].register_forward_hook(spoilt)
    with pytest.raises(NonFinite, match="step 1: the loss of audio is not finite for samples"):
        train(tmp_path, 3, module=module, dataset=Latents(), callbacks=[FiniteGuard()])
