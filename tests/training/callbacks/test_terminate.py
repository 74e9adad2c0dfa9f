"""C9: a signal leaves a checkpoint of the current step, and the exit code that says so."""

import os
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
from lightning.pytorch import Callback

from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.callbacks.terminate import TerminateWithCheckpoint
from mmdiff.training.checkpoint_folder import checkpoints_in
from tests.training.forked import CountSteps, exit_code, fork, newest_step, wait_until
from tests.training.signalled import Signalled, signal_ranks
from tests.training.tiny import TinyModule, train


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_c9_a_signal_leaves_a_checkpoint_and_143(tmp_path: Path, number: int) -> None:
    counter = CountSteps()
    terminate = TerminateWithCheckpoint()
    child = fork(lambda: train(tmp_path, 100_000, every=None, callbacks=[counter, terminate]))
    wait_until(child, lambda: counter.done.value > 0)
    os.kill(child, number)
    assert exit_code(child) == 143
    assert newest_step(tmp_path) == counter.done.value


def test_c9_a_signal_before_the_first_step_is_kept(tmp_path: Path) -> None:
    class Early(Callback):
        def on_fit_start(self, *arguments: Any) -> None:
            os.kill(os.getpid(), signal.SIGUSR1)

    callbacks = [TerminateWithCheckpoint(), Early()]
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, 8, every=None, callbacks=callbacks)
    assert stop.value.code == 143 and newest_step(tmp_path) == 1


def test_c7_what_a_signal_saves_counts_among_what_is_kept(tmp_path: Path) -> None:
    """One setting for both: a stop deletes nothing that was to stay."""

    class Stop(Callback):
        def on_train_batch_start(self, trainer: Any, *arguments: Any) -> None:
            if trainer.global_step == 6:
                os.kill(os.getpid(), signal.SIGTERM)

    save = SaveCheckpoints(str(tmp_path), every_n_steps=1, keep_last=5)
    callbacks = [TerminateWithCheckpoint(), Stop()]
    with pytest.raises(SystemExit):
        train(tmp_path, 100, save=save, callbacks=callbacks)
    assert [path.name[-1] for path in checkpoints_in(tmp_path)] == ["7", "6", "5", "4", "3"]


def test_c9_a_run_that_saves_nothing_cannot_save_when_it_is_stopped() -> None:
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match=r"callbacks\.checkpoints.*callbacks\.terminate=null"):
        TerminateWithCheckpoint().setup(trainer, TinyModule(), "fit")


def test_c9_a_signal_to_one_of_two_ranks_ends_both(tmp_path: Path) -> None:
    found = signal_ranks(tmp_path, (1,), signal.SIGTERM, after_steps=2)
    assert found == Signalled(codes=(143, 143), is_alone=True, has_current_step=True)
