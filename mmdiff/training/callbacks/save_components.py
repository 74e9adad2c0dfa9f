"""Writes what a run trains as components of a pipeline, ready for the next stage."""

import logging
import shutil
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from mmdiff.training.callbacks.save_checkpoints import has_stepped
from mmdiff.training.checkpoint_folder import publish
from mmdiff.values.checks import check_sizes
from mmdiff.values.file_path import FilePath

_log = logging.getLogger(__name__)


class SaveComponents(Callback):
    """Saves `module.components(batches)` to `folder/<name>` after the last step, and every
    `every_n_steps` if given."""

    def __init__(self, folder: FilePath, *, every_n_steps: int | None = None) -> None:
        if every_n_steps is not None:
            check_sizes(most=10**9, every_n_steps=every_n_steps)
        self.folder, self.every_n_steps = Path(folder), every_n_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.every_n_steps is None or not has_stepped(trainer, batch_idx):
            return
        if trainer.global_step % self.every_n_steps == 0:
            self.save(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.save(trainer, pl_module)

    def save(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        # a loader of its own: that of the training is part way through
        loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
        for name, component in module.components(loader).items():
            folder = self.folder / name
            temporary = folder.with_name(f".{name}.new")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            component.save_pretrained(str(temporary))
            publish(temporary, folder)
            _log.info("saved %s to %s", name, folder)
