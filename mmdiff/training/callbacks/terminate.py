"""On Ctrl-C, SIGTERM or SIGUSR1: a checkpoint at the end of the current step, then exit."""

import logging
import signal
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints, has_stepped

INTERRUPTED = 128 + signal.SIGINT
# SIGUSR1 is what a cluster sends before it ends a job: for who waits for the run, no other end
_EXIT_CODES = {
    signal.SIGTERM: 128 + signal.SIGTERM,
    signal.SIGUSR1: 128 + signal.SIGTERM,
    signal.SIGINT: INTERRUPTED,
}
_log = logging.getLogger(__name__)


class Terminated(SystemExit):
    """The run was asked to stop, has saved, and exits as a process ended by that signal does: 143
    for SIGTERM and SIGUSR1, 130 for SIGINT."""


class TerminateWithCheckpoint(Callback):
    """The signal sets a flag, nothing else; at the end of an optimizer step all ranks agree, save
    and exit together. In a validation they do after its current batch.

    Lightning's own handlers would end without a checkpoint, and after SIGTERM with exit code 0. A
    signal that comes before the first step is kept until its end; a second SIGINT does not wait.
    Where the checkpoint lies and how many stay is for the `SaveCheckpoints` of the same trainer to
    say.
    """

    def __init__(self) -> None:
        self._exit_code = 0  # 0: not asked to stop
        self._previous: dict[signal.Signals, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """ValueError for a trainer that saves no checkpoints."""
        if stage != "fit":
            return
        _saver(trainer)
        self._exit_code = 0
        self._previous = {number: signal.signal(number, self._ask) for number in _EXIT_CODES}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for number in _EXIT_CODES:  # Lightning has put its own in front meanwhile
            signal.signal(number, self._ask)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if has_stepped(trainer, batch_idx):
            self._stop_if_asked(trainer)

    def on_validation_batch_end(self, trainer: Trainer, *arguments: Any) -> None:
        if trainer.state.fn == "fit" and _saver(trainer).is_between_steps:
            self._stop_if_asked(trainer)

    def _stop_if_asked(self, trainer: Trainer) -> None:
        """Save and exit, on all ranks, if one of them was asked to."""
        asked = torch.tensor(float(self._exit_code), device=trainer.strategy.root_device)
        exit_code = int(trainer.strategy.reduce(asked, reduce_op="max"))
        if exit_code == 0:
            return
        path = _saver(trainer).save(trainer)
        trainer.strategy.barrier()  # a launcher ends all ranks soon after the first has left
        _log.warning(
            "asked to stop: saved %s, exiting with %d; the same command with the same output_dir "
            "goes on from there",
            path,
            exit_code,
        )
        raise Terminated(exit_code)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self._exit_code == INTERRUPTED:
                raise Terminated(INTERRUPTED)
            _log.warning("stopping after this step; Ctrl-C again stops at once, without saving")
        self._exit_code = _EXIT_CODES[signal.Signals(number)]


def _saver(trainer: Trainer) -> SaveCheckpoints:
    savers = [one for one in trainer.checkpoint_callbacks if isinstance(one, SaveCheckpoints)]
    if not savers:
        raise ValueError(
            "TerminateWithCheckpoint saves with SaveCheckpoints, and the trainer has none: give it "
            "one (callbacks.checkpoints), or leave both out (callbacks.terminate=null)"
        )
    return savers[0]
