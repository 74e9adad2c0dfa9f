"""What must not reach the weights, and what a signal must leave behind."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.callbacks.finite_guard import FiniteGuard, NonFinite
from mmdiff.training.callbacks.terminate import TerminateWithCheckpoint
from mmdiff.training.checkpoint_folder import checkpoints_in
from tests.distributed.processes import run_ranks
from tests.training.tiny import TinyModule, assert_equal, state, train


def _nan_at(step: int) -> TinyModule:
    module = TinyModule()
    module.spoil = lambda now: float("nan") if now == step else 1.0
    return module


def test_n1_a_bad_loss_stops_before_the_step(tmp_path: Path) -> None:
    with pytest.raises(NonFinite, match=r"the loss .*step 3, samples \["):
        train(tmp_path / "bad", 8, module=_nan_at(3), callbacks=[FiniteGuard()])
    train(tmp_path / "good", 3)
    assert_equal(state(tmp_path / "bad"), state(tmp_path / "good"))


def test_n1_skip_goes_on_and_gives_up_after_max_skips(tmp_path: Path) -> None:
    module = train(tmp_path, 8, module=_nan_at(3), callbacks=[FiniteGuard("skip")])
    assert all(p.isfinite().all() for p in module.parameters())
    module = TinyModule()
    module.spoil = lambda step: float("inf")
    with pytest.raises(NonFinite):
        train(tmp_path / "all", 8, module=module, callbacks=[FiniteGuard("skip", max_skips=2)])


def test_n1_one_bad_rank_stops_all(tmp_path: Path) -> None:
    def rank() -> bool:
        module = _nan_at(2 if os.environ["RANK"] == "1" else -1)
        strategy = data_parallel(backend="gloo", timeout_seconds=20)
        with pytest.raises(NonFinite):
            train(
                tmp_path, 6, devices=2, strategy=strategy, module=module, callbacks=[FiniteGuard()]
            )
        return all(bool(p.isfinite().all()) for p in module.parameters())

    assert run_ranks(rank, 2) == [True, True]
    assert checkpoints_in(tmp_path)[0].name == "step_00000002"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_c9_a_signal_leaves_a_checkpoint_and_143(tmp_path: Path, number: int) -> None:
    child = os.fork()
    if not child:
        torch.set_num_threads(1)
        try:
            terminate = TerminateWithCheckpoint(str(tmp_path))
            train(tmp_path, 100_000, every=None, callbacks=[_Started(tmp_path), terminate])
        except SystemExit as stop:
            os._exit(int(stop.code or 0))
        finally:
            os._exit(1)
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    os.kill(child, number)
    _, status = os.waitpid(child, 0)
    assert os.WEXITSTATUS(status) == 143
    assert state(tmp_path)


class _Started(FiniteGuard):
    """Says that the first step is over."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_train_batch_end(self, *arguments: object) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "started").touch()
