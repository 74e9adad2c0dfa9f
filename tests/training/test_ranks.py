"""Two processes train what one trains at equal global batch."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from tests.distributed.processes import run_ranks
from tests.training.tiny import Losses, TinyModule, assert_equal, state, train


def _two_ranks(folder: Path, steps: int, accumulate: int = 1) -> list[tuple[int, ...]]:
    strategy = data_parallel(backend="gloo", timeout_seconds=20)
    module = train(folder, steps, devices=2, strategy=strategy, accumulate=accumulate)
    return module.seen


def test_c4_two_ranks_equal_one_and_may_take_turns(tmp_path: Path) -> None:
    """20 steps on one rank; on two; and on 1, 2, 1 in turn: the same samples and noise, weights to
    1e-6."""
    one = train(tmp_path / "one", 20)
    seen = run_ranks(lambda: _two_ranks(tmp_path / "two", 20), 2)
    assert [a + b for a, b in zip(*seen, strict=True)] == one.seen
    _assert_close(tmp_path / "one", tmp_path / "two")
    first = train(tmp_path / "turns", 6).seen
    second = run_ranks(lambda: _two_ranks(tmp_path / "turns", 13), 2)
    third = train(tmp_path / "turns", 20).seen
    assert first + [a + b for a, b in zip(*second, strict=True)] + third == one.seen
    _assert_close(tmp_path / "one", tmp_path / "turns")


def test_c3_two_ranks_resume_exactly(tmp_path: Path) -> None:
    run_ranks(lambda: _two_ranks(tmp_path / "whole", 8, 3), 2)
    for steps in (5, 8):
        run_ranks(lambda steps=steps: _two_ranks(tmp_path / "parts", steps, 3), 2)
    assert_equal(state(tmp_path / "whole"), state(tmp_path / "parts"))


def test_two_ranks_validate_what_one_does_and_keep_the_best(tmp_path: Path) -> None:
    """Seven clips in batches of four: the last one is of three, and the ranks have as many."""

    def run(folder: Path, **settings: Any) -> dict[int, float]:
        found = Losses()
        save = SaveCheckpoints(str(folder), every_n_steps=4)
        train(
            folder, 4, val_clips=7, val_check_interval=2, callbacks=[found], save=save, **settings
        )
        return found.found

    def rank() -> dict[int, float]:
        strategy = data_parallel(backend="gloo", timeout_seconds=20)
        return run(tmp_path / "two", devices=2, strategy=strategy)

    one = run(tmp_path / "one")
    for found in run_ranks(rank, 2):
        assert found == pytest.approx(one, rel=1e-5) and list(found) == [2, 4]
    records = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two")]
    assert records[0]["best"] == records[1]["best"]


def _assert_close(one: Path, other: Path) -> None:
    ours, theirs = state(one), state(other)
    assert ours.keys() == theirs.keys()
    names = [name for name in ours if "state_dict" in name]
    whole, other_whole = (torch.cat([s[n].ravel() for n in names]) for s in (ours, theirs))
    assert float((other_whole - whole).norm() / whole.norm()) <= 1e-6


def test_noise_differs_between_ranks() -> None:
    """The ids of the samples on a rank key its noise."""
    from mmdiff.diffusion.noise import NoiseKey, keyed_noise

    first, second = (
        keyed_noise(NoiseKey(TinyModule().seed, 0, ids), "noise", (6,)) for ids in ((0, 1), (2, 3))
    )
    assert not torch.equal(first, second)
