"""C9: workers of a loader outlive a signal to their group, and never their loader."""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from mmdiff.data.loader import ResumableLoader
from mmdiff.data.order import EndlessOrder
from mmdiff.data.worker_status import ReadingFailed
from mmdiff.training.callbacks.terminate import TerminateWithCheckpoint
from mmdiff.training.checkpoint_folder import checkpoints_in
from tests.training.forked import CountSteps, exit_code, fork, newest_step, wait_until
from tests.training.tiny import TinyData, train


class Hanging(TinyData):
    """Sample 8 is never read."""

    def __getitem__(self, number: int) -> tuple[int, Tensor]:
        if number % self.length == 8:
            time.sleep(600)
        return super().__getitem__(number)


def _in_own_group(function: Callable[[], object]) -> int:
    def action() -> None:
        os.setpgid(0, 0)
        function()

    return fork(action)


def _is_empty(group: int, *, within_seconds: float) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)  # what is left would outlive the test
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_c9_a_signal_to_the_whole_group_leaves_a_checkpoint(
    tmp_path: Path, number: signal.Signals
) -> None:
    """As scancel, systemd and timeout send it, and the terminal Ctrl-C."""
    counter = CountSteps()
    callbacks = [counter, TerminateWithCheckpoint()]
    settings = {"every": None, "workers": 2, "callbacks": callbacks}
    child = _in_own_group(lambda: train(tmp_path, 100_000, **settings))
    wait_until(child, lambda: counter.done.value > 2)
    os.killpg(child, number)
    assert exit_code(child) == (130 if number == signal.SIGINT else 143)
    assert newest_step(tmp_path) == counter.done.value
    assert len(checkpoints_in(tmp_path)) == 1
    assert _is_empty(child, within_seconds=10)


@pytest.mark.parametrize("data", [TinyData, Hanging])
def test_c9_workers_end_with_a_run_that_is_killed(tmp_path: Path, data: type[TinyData]) -> None:
    """Also one that hangs, for which torch would wait."""
    counter = CountSteps()
    settings = {"every": None, "workers": 2, "callbacks": [counter], "dataset": data()}
    child = _in_own_group(lambda: train(tmp_path, 100_000, **settings))
    wait_until(child, lambda: counter.done.value > 0)
    time.sleep(0.3)
    os.kill(child, signal.SIGKILL)
    assert exit_code(child) == -signal.SIGKILL
    assert _is_empty(child, within_seconds=10)


def test_c9_a_worker_that_hangs_is_ended_by_its_loader() -> None:
    def read() -> None:
        order = EndlessOrder(22, 4, seed=3)
        loader = ResumableLoader(Hanging(), order, num_workers=2, timeout_seconds=1)
        for _ in loader:
            pass

    child = _in_own_group(read)
    assert exit_code(child) == 1
    assert _is_empty(child, within_seconds=10)


class Deadly(TinyData):
    """The worker that reads sample 8 is killed, as by the kernel when memory runs out."""

    def name_of(self, number: int) -> str:
        return f"row {number % self.length}"

    def __getitem__(self, number: int) -> tuple[int, Tensor]:
        if number % self.length == 8:
            time.sleep(0.3)  # meanwhile the main process trains
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(number)


def test_v5_a_killed_worker_is_named_with_its_sample_wherever_it_strikes(tmp_path: Path) -> None:
    """torch raises in the middle of whatever the main process does, a backward pass too."""
    with pytest.raises(ReadingFailed) as error:
        train(tmp_path, 1000, every=None, workers=1, dataset=Deadly())
    said = str(error.value)
    assert re.search(r"worker 0 \(process \d+\) for [\d.]+ s was reading sample \d+, row 8", said)
    assert "killed by signal: Killed" in said or "exited unexpectedly" in said
    assert "data.num_workers" in said


def test_v5_a_worker_that_is_killed_while_it_waits_is_named_too(tmp_path: Path) -> None:
    class Kills(Callback):
        def on_train_batch_end(self, trainer: Trainer, *arguments: object) -> None:
            if trainer.global_step == 3:
                time.sleep(0.5)  # until the worker has nothing to do
                os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
                time.sleep(5)

    with pytest.raises(ReadingFailed, match=r"worker 0 .* waited; last it read sample \d+"):
        train(tmp_path, 1000, every=None, workers=1, callbacks=[Kills()])
