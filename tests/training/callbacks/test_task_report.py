"""TaskReport on a tiny transformer: every task, every modality and every level is logged."""

import csv
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import CSVLogger

from mmdiff.data.datamodule import DataModule
from mmdiff.data.latent_clips import LatentClips
from mmdiff.data.task_mixture import TaskMixture
from mmdiff.training.callbacks.task_report import TaskReport, gradient_norms
from tests.training.test_diffusion_module import _module, cache  # noqa: F401


def test_losses_levels_and_gradients_are_logged_per_task_and_modality(
    cache: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    module = _module()
    module.tasks = TaskMixture({"joint": 0.5, "picture_to_sound": 0.5})
    trainer = pl.Trainer(
        accelerator="cpu",
        max_steps=4,
        logger=CSVLogger(tmp_path, name=""),
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[TaskReport(every_n_steps=4)],
    )
    trainer.fit(module, datamodule=DataModule(LatentClips(str(cache)), batch_size=4, seed=0))
    path = next(tmp_path.rglob("metrics.csv"))
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    logged = {name: float(value) for row in rows for name, value in row.items() if value}
    for name in ("task/joint/video", "task/joint/audio", "task/picture_to_sound/audio"):
        assert logged[name] > 0
    assert "task/picture_to_sound/video" not in logged
    assert 0 < logged["level/video"] < 1 and 0 < logged["level/audio"] < 1
    assert all(logged[f"gradient/{name}"] > 0 for name in ("video", "audio", "shared"))


def test_gradient_norms_add_up_to_the_norm_of_all() -> None:
    transformer = _module().trained["transformer"]
    for parameter in transformer.parameters():
        parameter.grad = torch.randn_like(parameter)
    norms = torch.stack(list(gradient_norms(transformer).values()))
    whole = torch.stack([p.grad.square().sum() for p in transformer.parameters()]).sum().sqrt()
    assert torch.allclose(norms.square().sum().sqrt(), whole)
