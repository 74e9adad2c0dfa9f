"""On SIGTERM or SIGUSR1: a checkpoint at the end of the current step, then exit code 143."""

import logging
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from mmdiff.training.callbacks.save_checkpoints import has_stepped, save_checkpoint

EXIT_CODE = 128 + signal.SIGTERM
_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
_log = logging.getLogger(__name__)


class Terminated(SystemExit):
    """The run was asked to stop, has saved, and exits with 143, as a process ended by SIGTERM
    does."""


class TerminateWithCheckpoint(Callback):
    """The signal sets a flag, nothing else; at the end of an optimizer step all ranks agree, save
    and exit together.

    Lightning's own handler would end with exit code 0 and, by default, without a checkpoint. A
    signal that comes before the first step is kept until its end.
    """

    def __init__(self, folder: str, *, keep_last: int = 3) -> None:
        self.folder, self.keep_last = Path(folder), keep_last
        self._is_asked = False
        self._previous: dict[signal.Signals, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._is_asked = False
        self._previous = {number: signal.signal(number, self._ask) for number in _SIGNALS}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for number in _SIGNALS:  # Lightning has put its own in front meanwhile
            signal.signal(number, self._ask)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not has_stepped(trainer, batch_idx):
            return
        asked = torch.tensor(float(self._is_asked), device=pl_module.device)
        if float(trainer.strategy.reduce(asked, reduce_op="sum")) == 0:
            return
        path = save_checkpoint(trainer, self.folder, self.keep_last)
        _log.warning("asked to stop: saved %s, exiting with %d", path, EXIT_CODE)
        raise Terminated(EXIT_CODE)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True
