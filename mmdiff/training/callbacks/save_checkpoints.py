"""Checkpoints by steps and by minutes, only where an optimizer step has just ended."""

import logging
import time
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from mmdiff.distributed.ranks import RanksDisagree
from mmdiff.training.checkpoint_folder import CheckpointNotSaved, retain
from mmdiff.training.finite import NonFinite, non_finite_weights
from mmdiff.values.file_path import FilePath
from mmdiff.values.legal_numbers import check_number

OnSaveError = Literal["raise", "warn"]
_log = logging.getLogger(__name__)


def has_stepped(trainer: Trainer, batch_idx: int) -> bool:
    """Whether the batch that just ended completed an optimizer step; accumulated gradients are not
    in a checkpoint."""
    return (batch_idx + 1) % trainer.accumulate_grad_batches == 0


class SaveCheckpoints(Checkpoint):
    """Saves every `every_n_steps` steps and every `every_n_minutes`, whichever comes first, and
    after the last step.

    keep_last: how many that can be loaded stay; those that `TerminateWithCheckpoint` saves count
        among them.
    on_save_error: `raise` ends the run when the disk refuses; `warn` trains on and tries again at
        the next turn. The last checkpoint of a run always raises: nothing comes after it.
    """

    def __init__(
        self,
        folder: FilePath,
        *,
        every_n_steps: int | None = None,
        every_n_minutes: float | None = None,
        keep_last: int = 3,
        on_save_error: OnSaveError = "raise",
    ) -> None:
        check_number("keep_last", keep_last, lowest=1)
        if every_n_steps is not None:
            check_number("every_n_steps", every_n_steps, lowest=1)
        if every_n_minutes is not None:
            check_number("every_n_minutes", every_n_minutes, lowest=0)
        if on_save_error not in get_args(OnSaveError):
            raise ValueError(f"on_save_error is {on_save_error!r}; possible are 'raise' and 'warn'")
        self.folder, self.keep_last, self.on_save_error = Path(folder), keep_last, on_save_error
        self.every_n_steps, self.every_n_minutes = every_n_steps, every_n_minutes
        self._saved_time = time.monotonic()
        self._verdicts: dict[Path, bool] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """RanksDisagree if the ranks were resumed from different checkpoints."""
        self._saved_time = time.monotonic()
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
        if not has_stepped(trainer, batch_idx):
            return
        due, is_last = trainer.strategy.broadcast(self._is_due(trainer))
        if due or is_last:
            on_error = "raise" if is_last else self.on_save_error
            self.save(trainer, on_error=on_error)
            self._saved_time = time.monotonic()

    def save(self, trainer: Trainer, *, on_error: OnSaveError = "raise") -> Path | None:
        """Save the whole state as `folder/step_XXXXXXXX` and delete what is too old; to be called
        on all ranks.

        Raises NonFinite for weights that are NaN or infinite, and CheckpointNotSaved, on all ranks,
        if the disk refuses; with `on_error="warn"` that is logged, and the result is None.
        """
        _check_weights(trainer)
        path = self.folder / f"step_{trainer.global_step:08d}"
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
            self._verdicts[path] = True  # its digests were just taken
            retain(self.folder, self.keep_last, verdicts=self._verdicts)
        return path

    def _is_due(self, trainer: Trainer) -> tuple[bool, bool]:
        """Whether it is time to save, and whether no step comes after this one."""
        step, minutes = trainer.global_step, (time.monotonic() - self._saved_time) / 60
        by_steps = self.every_n_steps is not None and step % self.every_n_steps == 0
        by_time = self.every_n_minutes is not None and minutes >= self.every_n_minutes
        return by_steps or by_time, trainer.should_stop or step == trainer.max_steps


def _check_weights(trainer: Trainer) -> None:
    names = non_finite_weights(trainer.lightning_module)
    count = torch.tensor(float(len(names)), device=trainer.strategy.root_device)
    if float(trainer.strategy.reduce(count, reduce_op="sum")) == 0:
        return
    of = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    raise NonFinite(
        f"step {trainer.global_step}: the weights {of or 'of another rank'} are not finite; they "
        "are not saved, and earlier checkpoints stay as they are"
    )
