"""C8: a checkpoint holds the moment of saving, and an error of the writer is told at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor

from mmdiff.testing.fault_plan import InjectedFault
from mmdiff.training.checkpoint_folder import CheckpointNotSaved, read_checkpoint, write_checkpoint
from tests.training.forked import newest_step
from tests.training.tiny import TinyModule, train


def _weights(module: Any) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


class ChangedBehindTheSave(Callback):
    """Keeps the weights of step 2 before it is saved, and overwrites them right afterwards."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}
        self.momenta: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_arguments: Any) -> None:
        if trainer.global_step == 2:  # callbacks that save come last
            self.weights = _weights(pl_module)
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


def test_c8_what_is_saved_is_the_moment_of_saving(tmp_path: Path) -> None:
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


def test_c8_tensors_changed_behind_the_writer_are_saved_as_they_were(tmp_path: Path) -> None:
    folder, weight = tmp_path / "step_00000001", torch.arange(1000.0)
    write_checkpoint({"global_step": 1, "state_dict": {"weight": weight}}, folder)
    weight.fill_(-1)
    assert torch.equal(read_checkpoint(folder)["state_dict"]["weight"], torch.arange(1000.0))


@pytest.mark.parametrize(
    ("fault", "error"), [("raise", InjectedFault), ("enospc", CheckpointNotSaved)]
)
def test_c8_an_error_of_the_writer_ends_the_step_that_saves(
    tmp_path: Path, faults: Callable[[str], None], fault: str, error: type[Exception]
) -> None:
    """Not a later one, and not the end of the run."""
    module = TinyModule()
    faults(f"{fault} checkpoint.write step=4")
    with pytest.raises(error):
        train(tmp_path, 8, module=module, every=2)
    assert len(module.seen) == 4 and newest_step(tmp_path) == 2
