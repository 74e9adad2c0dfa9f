"""The diffusion module on a tiny transformer: it learns, drops captions by key, and resumes
exactly."""

from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch import Generator

from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.data.datamodule import DataModule
from mmdiff.data.latent_cache import SCHEMA, LatentCache
from mmdiff.data.latent_clips import LatentClips
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.training.callbacks.finite_guard import FiniteGuard
from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.callbacks.save_components import SaveComponents
from mmdiff.training.checkpoint_folder import SafeCheckpointIO, latest_checkpoint
from mmdiff.training.diffusion_module import DiffusionModule
from mmdiff.training.schedules import WarmupDecay
from mmdiff.values.latents import ClipLatents
from mmdiff.values.sample import SampleFacts
from tests.training.tiny import assert_equal, state
from tests.training.tiny_diffusion import tiny_diffusion


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
