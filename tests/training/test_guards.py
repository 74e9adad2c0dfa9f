"""What must not reach the weights, and what a signal must leave behind."""

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch

from mmdiff.distributed.strategies import data_parallel
from mmdiff.testing.fault_plan import VARIABLE, load_fault_plan
from mmdiff.training.callbacks.finite_guard import FiniteGuard
from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.callbacks.spike_warning import SpikeWarning
from mmdiff.training.callbacks.terminate import TerminateWithCheckpoint
from mmdiff.training.checkpoint_folder import CheckpointNotSaved, checkpoints_in
from mmdiff.training.finite import NonFinite
from tests.distributed.processes import run_ranks
from tests.training.forked import CountSteps, exit_code, fork, newest_step, wait_until
from tests.training.signalled import Signalled, signal_ranks
from tests.training.tiny import TinyModule, assert_equal, state, train


@pytest.mark.parametrize(
    "fault, said",
    [
        ("nan train.loss step=3", r"step 3: the loss is not finite for samples \[\d+"),
        ("nan train.loss.audio step=3", r"the loss of audio is not finite for samples \[\d+"),
        ("nan train.gradient step=3", r"the gradient of trained\.\w+.* is not finite for samples"),
    ],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_n1_a_bad_loss_or_gradient_stops_before_the_step(
    tmp_path: Path, faults: Callable[[str], None], fault: str, said: str, accumulate: int
) -> None:
    faults(fault)
    with pytest.raises(NonFinite, match=said):
        train(tmp_path / "bad", 8, callbacks=[FiniteGuard()], accumulate=accumulate)
    faults("")
    train(tmp_path / "good", 3, accumulate=accumulate)
    assert_equal(state(tmp_path / "bad"), state(tmp_path / "good"))


def test_n1_the_samples_named_are_those_of_the_bad_batch(
    tmp_path: Path, faults: Callable[[str], None]
) -> None:
    """Not those of the other batches that the step accumulates."""
    module = TinyModule()
    faults("nan train.loss hit=5")
    with pytest.raises(NonFinite) as error:
        train(tmp_path, 8, module=module, callbacks=[FiniteGuard()], accumulate=3)
    assert str(error.value).partition(";")[0].endswith(f"samples {list(module.seen[4])}")


def test_n1_skip_goes_on_and_gives_up_after_max_skips(
    tmp_path: Path, faults: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    faults("nan train.loss step=3; nan train.gradient step=5")
    guard = FiniteGuard("skip")
    module = train(tmp_path / "some", 8, callbacks=[guard])
    assert all(p.isfinite().all() for p in module.parameters())
    assert (guard.skips, guard.skips_in_a_row) == (2, 0)
    assert "step 3: the loss" in caplog.text and "step 5: the gradient" in caplog.text
    faults("nan train.loss")
    with pytest.raises(NonFinite, match="step 2"):
        train(tmp_path / "all", 8, callbacks=[FiniteGuard("skip", max_skips=2)])
    torch.testing.assert_close(
        list(TinyModule().trained.parameters()), list(_weights(tmp_path / "all"))
    )


def _weights(folder: Path) -> list[torch.Tensor]:
    """Of the newest checkpoint: each step before was skipped."""
    module = TinyModule()
    content = {
        name.removeprefix("/state_dict/trained."): tensor
        for name, tensor in state(folder).items()
        if name.startswith("/state_dict/trained.")
    }
    module.trained.load_state_dict(content)
    return list(module.trained.parameters())


@pytest.mark.parametrize("policy", ["raise", "skip"])
@pytest.mark.parametrize(
    ("what", "named"), [("loss", "the loss is"), ("gradient", "the gradient of trained.")]
)
def test_n1_one_bad_rank_stops_or_skips_on_all(
    tmp_path: Path, policy: Any, what: str, named: str
) -> None:
    def rank() -> tuple[str, list[float]]:
        os.environ[VARIABLE] = f"nan train.{what} step=2 rank=1"
        load_fault_plan()
        strategy, guard = data_parallel(backend="gloo", timeout_seconds=20), FiniteGuard(policy)
        module, said = TinyModule(), ""
        try:
            train(tmp_path, 4, devices=2, strategy=strategy, module=module, callbacks=[guard])
        except NonFinite as error:
            said = str(error)
        weights = torch.cat([p.detach().ravel() for p in module.parameters()])
        return f"{guard.skips} {said}", weights.tolist()

    (said, weights), (other_said, other_weights) = run_ranks(rank, 2)
    assert said == other_said and weights == other_weights
    assert torch.tensor(weights).isfinite().all()
    if policy == "raise":
        assert said.startswith(f"0 step 2: rank 1: {named}")
        assert " not finite for samples [" in said and "rank 0" not in said
        assert newest_step(tmp_path) == 2
    else:
        assert said == "1 " and newest_step(tmp_path) == 4


@pytest.mark.parametrize("part", ["trained", "ema"])
def test_n2_weights_that_are_not_finite_are_not_saved(tmp_path: Path, part: str) -> None:
    class Spoil(FiniteGuard):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *arguments: Any) -> None:
            if trainer.global_step == 3:
                with torch.no_grad():
                    next(getattr(pl_module, part).parameters())[0, 0] = torch.inf

    with pytest.raises(NonFinite, match=rf"step 3: the weights {part}\..* are not saved"):
        train(tmp_path, 8, callbacks=[Spoil()])
    assert newest_step(tmp_path) == 2 and not list(tmp_path.glob("*.tmp"))


def test_n3_a_spike_is_told_with_its_samples(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """At its step and at no other, also where the window was filled before a restart."""
    whole, parts = TinyModule(), TinyModule()
    told = []
    for module in (whole, parts):
        module.spoil = lambda step: 1000.0 if step == 8 else 1.0
        caplog.clear()
        folder = tmp_path / str(module is whole)
        if module is parts:
            train(folder, 6, callbacks=[SpikeWarning(patience=5)])
        train(folder, 10, module=module, callbacks=[SpikeWarning(patience=5)])
        told.append([r.getMessage() for r in caplog.records if "median" in r.getMessage()])
    assert told[0] == told[1] and len(told[0]) == 1
    assert told[0][0].startswith("step 8, rank 0: the loss is ")
    assert told[0][0].endswith(f"samples {list(whole.seen[8])}")


def test_c6_a_full_disk_ends_the_run_or_is_told(
    tmp_path: Path, faults: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    faults("enospc checkpoint.flush step=4")
    with pytest.raises(CheckpointNotSaved, match=r"step_00000004.*no space left.*needs [\d,]+ by"):
        train(tmp_path / "raise", 8, every=2)
    assert newest_step(tmp_path / "raise") == 2
    with caplog.at_level(logging.WARNING, logger="mmdiff"):
        train(tmp_path / "warn", 8, save=_warning(tmp_path / "warn"))
    assert caplog.text.count("goes on without this checkpoint") == 1
    assert [path.name[-1] for path in checkpoints_in(tmp_path / "warn")] == ["8", "6", "2"]
    faults("enospc checkpoint.flush step=8")
    with pytest.raises(CheckpointNotSaved):
        train(tmp_path / "last", 8, save=_warning(tmp_path / "last"))


def _warning(folder: Path) -> SaveCheckpoints:
    return SaveCheckpoints(str(folder), every_n_steps=2, on_save_error="warn")


def test_c6_a_full_disk_on_one_rank_is_an_error_on_all(tmp_path: Path) -> None:
    def rank() -> str:
        os.environ[VARIABLE] = "enospc checkpoint.flush step=2; enospc checkpoint.flush step=4"
        load_fault_plan()
        strategy = data_parallel(backend="gloo", timeout_seconds=20)
        folder = tmp_path / "ranks"
        save = SaveCheckpoints(str(folder), every_n_steps=2, on_save_error="warn")
        try:
            train(folder, 4, devices=2, strategy=strategy, save=save)
        except CheckpointNotSaved as error:
            return str(error)
        return "nothing was raised"

    first, second = run_ranks(rank, 2)
    assert "no space left" in first and "rank 0 cannot write" in second


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
    class Early(FiniteGuard):
        def on_fit_start(self, *arguments: Any) -> None:
            os.kill(os.getpid(), signal.SIGUSR1)

    callbacks = [TerminateWithCheckpoint(), Early()]
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, 8, every=None, callbacks=callbacks)
    assert stop.value.code == 143 and newest_step(tmp_path) == 1


def test_c7_what_a_signal_saves_counts_among_what_is_kept(tmp_path: Path) -> None:
    """One setting for both: a stop deletes nothing that was to stay."""

    class Stop(FiniteGuard):
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
