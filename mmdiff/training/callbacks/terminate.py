"""On SIGTERM or SIGUSR1: a checkpoint at the end of the current step, then exit code 143."""

import logging
import signal
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints, has_stepped

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
    signal that comes before the first step is kept until its end. Where the checkpoint lies and how
    many stay is for the `SaveCheckpoints` of the same trainer to say.
    """

    def __init__(self) -> None:
        self._is_asked = False
        self._previous: dict[signal.Signals, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """ValueError for a trainer that saves no checkpoints."""
        _saver(trainer)
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
        path = _saver(trainer).save(trainer)
        trainer.strategy.barrier()  # a launcher ends all ranks soon after the first has left
        _log.warning("asked to stop: saved %s, exiting with %d", path, EXIT_CODE)
        raise Terminated(EXIT_CODE)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True


def _saver(trainer: Trainer) -> SaveCheckpoints:
    savers = [one for one in trainer.checkpoint_callbacks if isinstance(one, SaveCheckpoints)]
    if not savers:
        raise ValueError(
            "TerminateWithCheckpoint saves with SaveCheckpoints, and the trainer has none: give it "
            "one (callbacks.checkpoints), or leave both out (callbacks.terminate=null)"
        )
    return savers[0]
