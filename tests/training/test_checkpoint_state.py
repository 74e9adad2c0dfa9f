"""State -> JSON and tensors -> the same state."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.training.checkpoint_folder import read_checkpoint, write_checkpoint
from mmdiff.training.checkpoint_state import join_state, split_state


def test_state_survives_exactly() -> None:
    state: dict[str, Any] = {
        "numbers": [1, 0.1 + 0.2, 1e-300, True, None, float("inf")],
        "betas": (0.9, 0.999),
        "state": {0: {"step": torch.tensor(3.0)}, 1: {"empty": torch.zeros(0)}},
        "dtype": torch.bfloat16,
        "$odd": {"a": "b"},
        "half": torch.randn(3, dtype=torch.float32).bfloat16(),
    }
    document, tensors = split_state(state)
    found = join_state(json.loads(json.dumps(document)), tensors)
    assert found.keys() == state.keys() and list(found["state"]) == [0, 1]
    assert found["numbers"] == state["numbers"] and found["betas"] == (0.9, 0.999)
    assert found["dtype"] is torch.bfloat16 and found["$odd"] == {"a": "b"}
    assert torch.equal(found["state"][0]["step"], torch.tensor(3.0))


def test_shared_tensors_are_stored_once(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    state = {"global_step": 7, "state_dict": {"a": shared, "b": shared, "c": shared.T}}
    write_checkpoint(state, tmp_path / "step_00000007")
    found = read_checkpoint(tmp_path / "step_00000007")["state_dict"]
    assert torch.equal(found["a"], shared) and torch.equal(found["c"], shared.T)
    assert found["a"] is found["b"]


def test_other_objects_are_refused_with_their_place() -> None:
    with pytest.raises(TypeError, match=r"callbacks/path.*PosixPath"):
        split_state({"callbacks": {"path": Path("x")}})


def test_c11_no_pickle_when_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"global_step": 1, "state_dict": {"a": torch.zeros(1)}}
    write_checkpoint(state, tmp_path / "step_00000001")
    monkeypatch.setattr("pickle.Unpickler", None)
    monkeypatch.setattr("pickle.load", None)
    assert read_checkpoint(tmp_path / "step_00000001")
    assert {path.suffix for path in (tmp_path / "step_00000001").iterdir()} == {
        ".json",
        ".safetensors",
    }
