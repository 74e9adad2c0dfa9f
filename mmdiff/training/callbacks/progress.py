"""Where a run stands: a bar that moves at every step on a terminal, a line in the log otherwise;
speeds go to the loggers."""

import logging
import sys
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from mmdiff.training.callbacks.save_checkpoints import has_stepped
from mmdiff.values.checks import check_sizes

_log = logging.getLogger(__name__)


class ProgressReport(Callback):
    """Every `every_n_steps` steps: the step, the loss averaged since the last report, samples per
    second, time left; and what each validation found."""

    def __init__(self, *, every_n_steps: int = 20) -> None:
        check_sizes(most=10**9, every_n_steps=every_n_steps)
        self.every_n_steps = every_n_steps
        self._bar = Progress(disable=True)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reset(trainer)
        self._bar = Progress(
            *(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not (trainer.is_global_zero and sys.stderr.isatty()),
        )
        total = trainer.max_steps if trainer.max_steps > 0 else None
        self._task = self._bar.add_task("training", total=total, completed=trainer.global_step)
        self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._samples += len(batch) * trainer.world_size
        self._losses.append(outputs["loss"].detach())
        step = trainer.global_step
        if has_stepped(trainer, batch_idx):
            self._bar.update(self._task, completed=step)
            if step % self.every_n_steps == 0 or step == trainer.max_steps:
                self._report(trainer, pl_module)
                self._reset(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        found = trainer.callback_metrics.items()
        losses = [f"{name} {float(x):.4g}" for name, x in found if name.startswith("val/loss")]
        if losses and trainer.is_global_zero and not trainer.sanity_checking:
            _log.info("step %d  %s", trainer.global_step, "  ".join(losses))

    def _report(self, trainer: Trainer, module: LightningModule) -> None:
        seconds = time.monotonic() - self._time
        loss = sum(float(value) for value in self._losses) / len(self._losses)
        rate = self._samples / seconds
        module.log_dict({"speed/samples_per_second": rate, "train/loss_mean": loss})
        step, total = trainer.global_step, trainer.max_steps
        lr = trainer.optimizers[0].param_groups[0]["lr"]
        text = f"step {step}" + (f"/{total}" if total > 0 else "")
        text += f"  loss {loss:.4g}  lr {lr:.2e}  {rate:.1f} samples/s"
        self._bar.update(self._task, description=text)
        if self._bar.disable and trainer.is_global_zero:
            left = (total - step) * seconds / max(1, step - self._step)
            _log.info(text + (f"  {left / 60:.1f} min left" if total > 0 else ""))

    def _reset(self, trainer: Trainer) -> None:
        self._samples = 0
        self._losses: list[Tensor] = []
        self._time, self._step = time.monotonic(), trainer.global_step

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._bar.stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        self._bar.stop()
