"""When a run saves, what it keeps, and what a disk that refuses does to it."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from mmdiff.distributed.strategies import RanksDisagree, data_parallel
from mmdiff.training.callbacks import save_checkpoints
from mmdiff.training.callbacks.finite_guard import NonFinite
from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.checkpoint_folder import CheckpointNotSaved, checkpoints_in, read_checkpoint
from tests.distributed.processes import run_ranks
from tests.training.faults import InjectedError, at, inject
from tests.training.forked import newest_step
from tests.training.tiny import Rising, TinyModule, train

Plan = Callable[..., None]


def _steps(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("step_")) for path in checkpoints_in(folder)]


def test_c7_never_fewer_than_keep_last(tmp_path: Path) -> None:
    train(tmp_path, 6)
    assert _steps(tmp_path) == [6, 5, 4]


def test_c7_the_best_checkpoint_stays_beside_the_last(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    losses = [3.0, 1.0, 2.0, float("nan"), 1.5, 2.0, 0.5, 3.0]

    def run(steps: int) -> list[int]:
        save = SaveCheckpoints(str(folder), every_n_steps=1, keep_last=2)
        options = {"val_clips": 5, "val_check_interval": 1}
        train(folder, steps, module=Rising(losses), save=save, **options)
        return _steps(folder)

    assert run(5) == [5, 4, 2]
    record = json.loads((tmp_path / "checkpoints.json").read_text())
    assert record == {"last": "step_00000005", "best": "step_00000002", "val/loss": 1.0}
    assert run(6) == [6, 5, 2]  # a resumed run knows it
    assert run(8) == [8, 7]
    for path in checkpoints_in(folder):
        assert read_checkpoint(path)["global_step"] == int(path.name[-2:])


def test_checkpoints_come_by_steps_and_by_minutes_and_the_first_one_early(tmp_path: Path) -> None:
    clock = [0.0]

    class Minutes(Callback):
        """Half a minute a step."""

        def on_train_batch_start(self, *arguments: Any) -> None:
            clock[0] += 30

    def saved(steps: int, **settings: Any) -> list[int]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(save_checkpoints.time, "monotonic", lambda: clock[0])
            save = SaveCheckpoints(str(tmp_path), keep_last=99, **settings)
            train(tmp_path, steps, callbacks=[Minutes()], save=save)
        return sorted(_steps(tmp_path))

    settings = {"every_n_steps": 7, "every_n_minutes": 2, "first_after_minutes": 1}
    assert saved(15, **settings) == [2, 6, 7, 11, 14, 15]
    assert saved(19, **settings) == [2, 6, 7, 11, 14, 15, 19]  # a resumed run is no first one


@pytest.mark.parametrize("val_clips", [0, 5])
def test_a_run_that_ends_with_an_epoch_ends_with_a_checkpoint(
    tmp_path: Path, val_clips: int
) -> None:
    train(tmp_path, 99, every=None, max_epochs=2, limit_train_batches=3, val_clips=val_clips)
    assert _steps(tmp_path)[0] == 6


@pytest.mark.parametrize("part", ["trained", "ema"])
def test_n2_weights_that_are_not_finite_are_not_saved(tmp_path: Path, part: str) -> None:
    class Infinity(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *arguments: Any) -> None:
            if trainer.global_step == 3:
                with torch.no_grad():
                    next(getattr(pl_module, part).parameters())[0, 0] = torch.inf

    with pytest.raises(NonFinite, match=rf"step 3: the weights {part}\..* are not saved"):
        train(tmp_path, 8, callbacks=[Infinity()])
    assert newest_step(tmp_path) == 2 and not list(tmp_path.glob("*.tmp"))


def test_c6_a_full_disk_ends_the_run_or_is_reported(
    tmp_path: Path, faults: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    faults(at("flush", "ENOSPC", step=4))
    with pytest.raises(CheckpointNotSaved, match=r"step_00000004.*no space left.*needs [\d,]+ by"):
        train(tmp_path / "raise", 8, every=2)
    assert newest_step(tmp_path / "raise") == 2
    with caplog.at_level(logging.WARNING, logger="mmdiff"):
        train(tmp_path / "warn", 8, save=_warning(tmp_path / "warn"))
    assert caplog.text.count("goes on without this checkpoint") == 1
    assert _steps(tmp_path / "warn") == [8, 6, 2]
    faults(at("flush", "ENOSPC", step=8))
    with pytest.raises(CheckpointNotSaved):
        train(tmp_path / "last", 8, save=_warning(tmp_path / "last"))


def _warning(folder: Path) -> SaveCheckpoints:
    return SaveCheckpoints(str(folder), every_n_steps=2, on_save_error="warn")


def test_c6_a_full_disk_on_one_rank_is_an_error_on_all(tmp_path: Path) -> None:
    def rank() -> str:
        full = [at("flush", "ENOSPC", step=2), at("flush", "ENOSPC", step=4)]
        inject(full, pytest.MonkeyPatch())  # in a process of its own
        strategy = data_parallel(backend="gloo", timeout_seconds=20)
        folder = tmp_path / "ranks"
        try:
            train(folder, 4, devices=2, strategy=strategy, save=_warning(folder))
        except CheckpointNotSaved as error:
            return str(error)
        return "nothing was raised"

    first, second = run_ranks(rank, 2)
    assert "no space left" in first and "rank 0 cannot write" in second


class ChangedBehindTheSave(Callback):
    """Keeps the weights of step 2 before it is saved, and overwrites them right afterwards."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}
        self.momenta: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_arguments: Any) -> None:
        if trainer.global_step == 2:  # callbacks that save come last
            self.weights = {n: value.clone() for n, value in pl_module.state_dict().items()}
            self.momenta = [value.clone() for value in _tensors(trainer.optimizers[0].state_dict())]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, *_arguments: Any) -> None:
        if trainer.global_step == 2:
            with torch.no_grad():
                for value in pl_module.state_dict().values():
                    value.zero_()
                for value in _tensors(trainer.optimizers[0].state_dict()):
                    value.zero_()


def _tensors(state: Any) -> list[Tensor]:
    if isinstance(state, Tensor):
        return [state]
    items = state.values() if isinstance(state, dict) else state
    return [t for item in items if isinstance(item, (dict, list, Tensor)) for t in _tensors(item)]


def test_c8_what_is_saved_is_what_was_there_at_that_time(tmp_path: Path) -> None:
    changed = ChangedBehindTheSave()
    module = train(tmp_path, 3, callbacks=[changed], every=2)
    saved = read_checkpoint(tmp_path / "step_00000002")
    assert saved["state_dict"].keys() == changed.weights.keys()
    for name, value in changed.weights.items():
        assert torch.equal(saved["state_dict"][name], value), name
    momenta = _tensors(saved["optimizer_states"])
    assert len(momenta) == len(changed.momenta) > 4
    assert all(map(torch.equal, momenta, changed.momenta))
    name = next(iter(changed.weights))
    assert not torch.equal(module.state_dict()[name], changed.weights[name]), "nothing changed"


@pytest.mark.parametrize(
    ("fault", "error"), [("raise", InjectedError), ("ENOSPC", CheckpointNotSaved)]
)
def test_c8_an_error_of_the_writer_ends_the_step_that_saves(
    tmp_path: Path, faults: Plan, fault: str, error: type[Exception]
) -> None:
    """Not a later one, and not the end of the run."""
    module = TinyModule()
    faults(at("write", fault, step=4))
    with pytest.raises(error):
        train(tmp_path, 8, module=module, every=2)
    assert len(module.seen) == 4 and newest_step(tmp_path) == 2


def test_ranks_that_see_different_checkpoints_are_stopped(tmp_path: Path) -> None:
    """As on machines that do not share their output_dir."""
    train(tmp_path / "0", 2)

    def rank() -> str:
        strategy = data_parallel(backend="gloo", timeout_seconds=20)
        try:
            train(tmp_path / os.environ["RANK"], 4, devices=2, strategy=strategy)
        except RanksDisagree as error:
            return str(error)
        return "nothing was raised"

    for said in run_ranks(rank, 2):
        assert "the ranks start at steps [2, 0]" in said


@pytest.mark.parametrize("name", ["every_n_steps", "keep_last", "every_n_minutes"])
def test_numbers_below_their_range_are_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is -1"):
        SaveCheckpoints("a", **{name: -1})
