"""State -> JSON and tensors -> the same state."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.training.checkpoint_state import join_state, split_state


def test_state_survives_exactly() -> None:
    state: dict[str, Any] = {
        "numbers": [1, 0.1 + 0.2, 1e-300, True, None, float("inf")],
        "betas": (0.9, 0.999),
        "state": {0: {"step": torch.tensor(3.0)}, 1: {"empty": torch.zeros(0)}},
        "dtype": torch.bfloat16,
        "$malformed": {"a": "b"},
        "bfloat16": torch.randn(3, dtype=torch.float32).bfloat16(),
    }
    document, tensors = split_state(state)
    found = join_state(json.loads(json.dumps(document)), tensors)
    assert found.keys() == state.keys() and list(found["state"]) == [0, 1]
    assert found["numbers"] == state["numbers"] and found["betas"] == (0.9, 0.999)
    assert found["dtype"] is torch.bfloat16 and found["$malformed"] == {"a": "b"}
    assert torch.equal(found["state"][0]["step"], torch.tensor(3.0))


def test_other_objects_are_refused_with_their_place() -> None:
    with pytest.raises(TypeError, match=r"callbacks/path.*PosixPath"):
        split_state({"callbacks": {"path": Path("x")}})


def test_a_dtype_that_is_none_is_refused() -> None:
    for name in ("load", "nothing", None):
        with pytest.raises(ValueError, match="is not a dtype of torch"):
            join_state({"$dtype": name}, {})
