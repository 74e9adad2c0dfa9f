"""Checkpoints by steps and by minutes, and of the best validation; only where an optimizer step has
just ended."""

import json
import logging
import math
import time
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from mmdiff.distributed.strategies import RanksDisagree
from mmdiff.loading.finite import names_of_non_finite
from mmdiff.media.atomic import atomic_write
from mmdiff.training.callbacks.finite_guard import NonFinite
from mmdiff.training.checkpoint_folder import CheckpointNotSaved, retain
from mmdiff.values.checks import check_sizes, check_weights
from mmdiff.values.file_path import FilePath

OnSaveError = Literal["raise", "warn"]
Mode = Literal["min", "max"]
_log = logging.getLogger(__name__)


def has_stepped(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the batch that just ended completed an optimizer step; accumulated gradients are not
    in a checkpoint. The last batch of an epoch that has an end completes one."""
    is_full = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
    return is_full or trainer.is_last_batch


class SaveCheckpoints(Checkpoint):
    """Saves every `every_n_steps` steps and every `every_n_minutes`, whichever comes first, the
    first time after `first_after_minutes`; after the last step; and after each validation that is
    the best so far. What is due where a validation follows is saved after it, with what other
    callbacks have concluded from it.

    keep_last: how many that can be loaded stay; those that `TerminateWithCheckpoint` saves count
        among them, the best one does not.
    monitor: the logged value that says which is the best, by `mode`; `checkpoints.json` beside the
        folder names it. None: none is kept for being the best.
    on_save_error: `raise` ends the run when the disk refuses; `warn` trains on and tries again at
        the next turn. The last checkpoint of a run always raises: nothing comes after it.
    """

    def __init__(
        self,
        folder: FilePath,
        *,
        every_n_steps: int | None = None,
        every_n_minutes: float | None = None,
        first_after_minutes: float | None = None,
        keep_last: int = 3,
        monitor: str | None = "val/loss",
        mode: Mode = "min",
        on_save_error: OnSaveError = "raise",
    ) -> None:
        steps = {"keep_last": keep_last, "every_n_steps": every_n_steps}
        check_sizes(most=10**9, **{name: n for name, n in steps.items() if n is not None})
        minutes = {"every_n_minutes": every_n_minutes, "first_after_minutes": first_after_minutes}
        check_weights(above=False, **{name: n for name, n in minutes.items() if n is not None})
        if on_save_error not in get_args(OnSaveError):
            raise ValueError(f"on_save_error is {on_save_error!r}; possible are 'raise' and 'warn'")
        if mode not in get_args(Mode):
            raise ValueError(f"mode is {mode!r}; possible are 'min' and 'max'")
        self.folder, self.keep_last, self.on_save_error = Path(folder), keep_last, on_save_error
        self.every_n_steps, self.every_n_minutes = every_n_steps, every_n_minutes
        self.first_after_minutes = first_after_minutes
        self.monitor, self.mode = monitor, mode
        self.best: tuple[str, float] | None = None  # name of the checkpoint and its score
        self.is_between_steps = False  # whether the last batch completed an optimizer step
        self._saved_time, self._has_saved = time.monotonic(), False
        self._is_put_off = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """RanksDisagree if the ranks were resumed from different checkpoints."""
        self._saved_time, self._has_saved = time.monotonic(), trainer.global_step > 0
        own = torch.tensor([trainer.global_step], device=pl_module.device)
        steps = trainer.strategy.all_gather(own).ravel().tolist()
        if len(set(steps)) > 1:
            raise RanksDisagree(
                f"the ranks start at steps {steps}; they must see the same checkpoints: give them "
                f"an output_dir that all machines share, not {self.folder}"
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.is_between_steps = has_stepped(trainer, batch_idx)
        if not self.is_between_steps:
            return
        due, is_last = trainer.strategy.broadcast(self._is_due(trainer))  # clocks of ranks differ
        if due or is_last:
            loop = trainer.fit_loop
            # Lightning has no public word for whether it validates after this batch
            self._is_put_off = bool(loop.epoch_loop._should_check_val_fx(loop._data_fetcher))
            if not self._is_put_off:
                self._save_due(trainer, is_last=is_last)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not self.is_between_steps:
            return
        is_best = self._is_best(trainer)
        _, is_last = trainer.strategy.broadcast(self._is_due(trainer))
        if is_best or is_last or self._is_put_off:
            self._save_due(trainer, is_last=is_last)
        self._is_put_off = False

    def _save_due(self, trainer: Trainer, *, is_last: bool) -> None:
        self.save(trainer, on_error="raise" if is_last else self.on_save_error)
        self._saved_time, self._has_saved = time.monotonic(), True

    def save(self, trainer: Trainer, *, on_error: OnSaveError = "raise") -> Path | None:
        """Save the whole state as `folder/step_XXXXXXXX` and delete what is too old; to be called
        on all ranks.

        Raises NonFinite for weights that are NaN or infinite, and CheckpointNotSaved, on all ranks,
        if the disk refuses; with `on_error="warn"` that is logged, and the result is None.
        """
        _check_finite(trainer)
        path = self.folder / _name(trainer)
        error: CheckpointNotSaved | None = None
        try:
            trainer.save_checkpoint(path)
        except CheckpointNotSaved as caught:
            error = caught
            trainer.strategy.barrier()  # the other ranks wait for the one that writes
        if trainer.strategy.broadcast(error is not None):
            error = error or CheckpointNotSaved(f"rank 0 cannot write {path}")
            if on_error == "raise":
                raise error
            _log.warning("training goes on without this checkpoint: %s", error)
            return None
        if trainer.is_global_zero:
            self._record(path)
            best = self.folder / self.best[0] if self.best else None
            retain(self.folder, self.keep_last, also=best)
        return path

    def state_dict(self) -> dict[str, Any]:
        return {"best": None if self.best is None else list(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        best = state_dict.get("best")
        self.best = None if best is None else (str(best[0]), float(best[1]))

    def _record(self, last: Path) -> None:
        """Beside the folder: a run whose checkpoints are gone is no new one."""
        content: dict[str, Any] = {"last": last.name}
        if self.best is not None:
            content["best"], content[str(self.monitor)] = self.best
        with atomic_write(self.folder.with_name(f"{self.folder.name}.json")) as temporary:
            temporary.write_text(json.dumps(content, indent=1))

    def _is_best(self, trainer: Trainer) -> bool:
        """Whether the validation that just ended was the best so far; then it is remembered."""
        score = trainer.callback_metrics.get(self.monitor) if self.monitor else None
        if score is None or not math.isfinite(float(score)):
            return False
        sign = 1 if self.mode == "min" else -1
        if self.best is not None and sign * float(score) >= sign * self.best[1]:
            return False
        self.best = (_name(trainer), float(score))
        return True

    def _is_due(self, trainer: Trainer) -> tuple[bool, bool]:
        """Whether it is time to save, and whether no step comes after this one."""
        step, minutes = trainer.global_step, (time.monotonic() - self._saved_time) / 60
        by_steps = self.every_n_steps is not None and step % self.every_n_steps == 0
        is_first = not self._has_saved and self.first_after_minutes is not None
        wait = self.first_after_minutes if is_first else self.every_n_minutes
        by_time = wait is not None and minutes >= wait
        is_last_epoch = trainer.current_epoch + 1 == trainer.max_epochs
        is_last = step == trainer.max_steps or (is_last_epoch and trainer.is_last_batch)
        return by_steps or by_time, trainer.should_stop or is_last


def _name(trainer: Trainer) -> str:
    return f"step_{trainer.global_step:08d}"


def _check_finite(trainer: Trainer) -> None:
    """NonFinite for parameters, averaged ones included. Buffers may hold an infinite number for
    good reason, a mask for instance."""
    names = names_of_non_finite(dict(trainer.lightning_module.named_parameters()))
    count = torch.tensor(float(len(names)), device=trainer.strategy.root_device)
    if float(trainer.strategy.reduce(count, reduce_op="sum")) == 0:
        return
    of = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    raise NonFinite(
        f"step {trainer.global_step}: the weights {of or 'of another rank'} are not finite; they "
        "are not saved, and earlier checkpoints stay as they are"
    )
