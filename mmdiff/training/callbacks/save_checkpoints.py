"""Checkpoints by steps and by minutes, only where an optimizer step has just ended."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from mmdiff.training.checkpoint_folder import retain


def save_checkpoint(trainer: Trainer, folder: Path, keep_last: int) -> Path:
    """Save the whole state as `folder/step_XXXXXXXX` and keep the newest `keep_last`; to be called
    on all ranks."""
    path = folder / f"step_{trainer.global_step:08d}"
    trainer.save_checkpoint(path)
    if trainer.is_global_zero:
        retain(folder, keep_last)
    return path


def has_stepped(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the batch that just ended completed an optimizer step; accumulated gradients are not
    in a checkpoint."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


class SaveCheckpoints(Checkpoint):
    """Saves every `every_n_steps` steps and every `every_n_minutes`, whichever comes first, and
    after the last step."""

    def __init__(
        self,
        folder: str,
        *,
        every_n_steps: int | None = None,
        every_n_minutes: float | None = None,
        keep_last: int = 3,
    ) -> None:
        if keep_last < 1:
            raise ValueError(f"keep_last is {keep_last}; at least 1 checkpoint must stay")
        self.folder, self.keep_last = Path(folder), keep_last
        self.every_n_steps, self.every_n_minutes = every_n_steps, every_n_minutes
        self._saved_time = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._saved_time = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if has_stepped(trainer, batch_idx) and self._is_due(trainer):
            save_checkpoint(trainer, self.folder, self.keep_last)
            self._saved_time = time.monotonic()

    def _is_due(self, trainer: Trainer) -> bool:
        step, minutes = trainer.global_step, (time.monotonic() - self._saved_time) / 60
        by_steps = self.every_n_steps is not None and step % self.every_n_steps == 0
        by_time = self.every_n_minutes is not None and minutes >= self.every_n_minutes
        is_last = trainer.should_stop or step == trainer.max_steps
        return trainer.strategy.broadcast(by_steps or by_time or is_last)
