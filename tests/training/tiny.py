"""A tiny module and data for tests of training: milliseconds a step, and chance in every place it
can be."""

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from mmdiff.data.batch import LatentBatch
from mmdiff.data.datamodule import DataModule
from mmdiff.diffusion.noise import keyed_noise, keyed_uniform
from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.checkpoint_folder import (
    SafeCheckpointIO,
    latest_checkpoint,
    read_checkpoint,
    sweep,
)
from mmdiff.training.checkpoint_state import split_state
from mmdiff.training.optimizers import MuonAdamW
from mmdiff.training.schedules import OneCycle
from mmdiff.training.training_module import TrainingModule
from mmdiff.values.latents import ClipLatents


class TinyData:
    """Item k is a function of k."""

    def __init__(self, length: int = 22) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, number: int) -> tuple[int, Tensor]:
        row = number % self.length
        return number, torch.randn(6, generator=torch.Generator().manual_seed(row))

    def collate(self, items: Sequence[tuple[int, Tensor]]) -> LatentBatch:
        rows = torch.stack([row for _, row in items])
        return LatentBatch(
            latents=ClipLatents(video=rows),
            captions=("",) * len(items),
            sample_ids=tuple(number for number, _ in items),
        )


class TinyNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(6, 8)
        self.blocks = nn.ModuleList([nn.Linear(8, 8) for _ in range(2)])
        self.head = nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = x + torch.tanh(block(x))
        return self.head(x)


Spoil = Callable[[str, int, int], float]
"""(name, step, number of the batch from 1) -> what a loss or a gradient is multiplied by."""


def spoil(name: str, *, step: int | None = None, by: float = math.nan) -> Spoil:
    """NaN in what is called so (loss, audio or gradient), at `step` or at all."""
    return lambda one, now, _batch: by if one == name and step in (None, now) else 1.0


class TinyModule(TrainingModule):
    """Denoises vectors; remembers which samples it saw, and its losses."""

    def __init__(self, optimizer: Any = None, *, seed: int = 5, steps: int = 12) -> None:
        torch.manual_seed(seed)
        super().__init__(
            TinyNet(),
            optimizer=optimizer or partial(MuonAdamW, lr=1e-2, adamw_lr=1e-2),
            lr_scheduler=partial(OneCycle, total_steps=steps),
            seed=seed,
            ema_decay=0.9,
        )
        self.seen: list[tuple[int, ...]] = []
        self.spoil: Spoil | None = None

    def training_step(self, batch: LatentBatch, batch_index: int) -> Tensor:
        key, x = self.key(batch), batch.latents.video
        assert x is not None
        self.seen.append(batch.sample_ids)
        noise = keyed_noise(key, "noise", (6,)) * keyed_uniform(key, "time")[:, None]
        error = (self.trained(x + noise) - x) ** 2
        audio = error[:, 4:].mean() * self.factor("audio")
        loss = error.mean() + 0 * audio  # as in a sum of terms: NaN in one is NaN in all
        return self.log_losses({"loss": loss * self.factor("loss"), "audio": audio})

    def factor(self, name: str) -> float:
        """Of a loss or a gradient in this batch: NaN where a test has it so."""
        return 1.0 if self.spoil is None else self.spoil(name, self.global_step, len(self.seen))

    def on_after_backward(self) -> None:
        gradient = next(self.trained.parameters()).grad
        assert gradient is not None
        gradient.mul_(self.factor("gradient"))

    def losses_of(self, batch: LatentBatch, batch_index: int) -> dict[str, Tensor]:
        x = batch.latents.video
        assert x is not None
        noise = keyed_noise(self.held_out_key(batch), "noise", (6,))
        return {"loss": ((self.ema.average(x + noise) - x) ** 2).mean(1)}

    def components(self, batches: Any) -> dict[str, Any]:
        return {}


class Losses(Callback):
    """What each validation found, by step."""

    def __init__(self) -> None:
        self.found: dict[int, float] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.found[trainer.global_step] = float(trainer.callback_metrics["val/loss"])


class Rising(TinyModule):
    """Its validation losses are those that it is given, one after the other."""

    def __init__(self, losses: list[float]) -> None:
        super().__init__()
        self.losses_to_come = dict(enumerate(losses, 1))

    def losses_of(self, batch: LatentBatch, batch_index: int) -> dict[str, Tensor]:
        return {"loss": torch.tensor(self.losses_to_come[self.global_step])}


def train(
    folder: Path,
    steps: int,
    *,
    accumulate: int = 1,
    workers: int = 0,
    callbacks: Sequence[Callback] = (),
    every: int | None = 1,
    batch_size: int = 4,
    resume: bool = True,
    module: Any = None,
    global_seed: int = 0,
    dataset: Any = None,
    save: SaveCheckpoints | None = None,
    val_clips: int = 0,
    **trainer: Any,
) -> Any:
    """Train, from the newest checkpoint in `folder` if there is one; the global seed must not
    matter."""
    torch.manual_seed(global_seed)
    module = module or TinyModule()
    torch.manual_seed(global_seed)
    data = DataModule(
        dataset or TinyData(),
        batch_size,
        seed=3,
        num_workers=workers,
        val_dataset=TinyData(val_clips) if val_clips else None,
    )
    save = save or SaveCheckpoints(str(folder), every_n_steps=every, keep_last=3)
    settings: dict[str, Any] = dict(  # noqa: C408
        accelerator="cpu",
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=1.0,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        default_root_dir=folder,
    )
    fit = pl.Trainer(
        **{**settings, **trainer}, plugins=[SafeCheckpointIO()], callbacks=[*callbacks, save]
    )
    path = None
    if resume and folder.is_dir():
        sweep(folder)
        path = latest_checkpoint(folder)
    fit.fit(module, data, ckpt_path=path)
    return module


def state(folder: Path) -> dict[str, Tensor]:
    """Everything in the newest checkpoint that a step depends on: weights, averages, optimizer,
    schedule and place in the data; what is no tensor as the bytes of its JSON."""
    path = latest_checkpoint(folder, strict=True)
    assert path is not None
    content = read_checkpoint(path)
    keys = ("global_step", "state_dict", "optimizer_states", "lr_schedulers")
    kept = {key: content[key] for key in keys}
    kept["place"] = content["loops"]["fit_loop"]["state_dict"]["combined_loader"]
    document, tensors = split_state(kept)
    del document["state_dict"]  # nothing but tensors
    return {**tensors, "rest": torch.tensor(list(json.dumps(document).encode()))}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() and len(one) > 20
    for name in one:
        assert torch.equal(one[name], other[name]), name
