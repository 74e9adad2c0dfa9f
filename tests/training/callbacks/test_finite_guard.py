"""N1: a loss or a gradient that is not finite does not reach the weights."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.callbacks.finite_guard import FiniteGuard, NonFinite
from tests.distributed.processes import run_ranks
from tests.training.forked import newest_step
from tests.training.tiny import TinyModule, assert_equal, spoil, state, train


def _spoilt(name: str, *, step: int | None = None) -> TinyModule:
    module = TinyModule()
    module.spoil = spoil(name, step=step)
    return module


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("loss", r"step 3: the loss is not finite for samples \[\d+"),
        ("audio", r"the loss of audio is not finite for samples \[\d+"),
        ("gradient", r"the gradient of trained\.\w+.* is not finite for samples"),
    ],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_n1_a_bad_loss_or_gradient_stops_before_the_step(
    tmp_path: Path, name: str, said: str, accumulate: int
) -> None:
    settings: dict[str, Any] = {"callbacks": [FiniteGuard()], "accumulate": accumulate}
    with pytest.raises(NonFinite, match=said):
        train(tmp_path / "bad", 8, module=_spoilt(name, step=3), **settings)
    train(tmp_path / "good", 3, accumulate=accumulate)
    assert_equal(state(tmp_path / "bad"), state(tmp_path / "good"))


def test_n1_the_samples_named_are_those_of_the_bad_batch(tmp_path: Path) -> None:
    """Not those of the other batches that the step accumulates."""
    module = TinyModule()
    module.spoil = lambda name, _step, batch: math.nan if (name, batch) == ("loss", 5) else 1.0
    with pytest.raises(NonFinite) as error:
        train(tmp_path, 8, module=module, callbacks=[FiniteGuard()], accumulate=3)
    assert str(error.value).partition(";")[0].endswith(f"samples {list(module.seen[4])}")


def test_n1_skip_goes_on_and_gives_up_after_max_skips(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    guard, module = FiniteGuard("skip"), TinyModule()
    bad = {("loss", 3), ("gradient", 5)}
    module.spoil = lambda name, step, _batch: math.nan if (name, step) in bad else 1.0
    train(tmp_path / "some", 8, module=module, callbacks=[guard])
    assert all(p.isfinite().all() for p in module.parameters())
    assert (guard.skips, guard.skips_in_a_row) == (2, 0)
    assert "step 3: the loss" in caplog.text and "step 5: the gradient" in caplog.text
    untouched = [p.clone() for p in TinyModule().parameters()]
    module = _spoilt("loss")
    with pytest.raises(NonFinite, match="step 2"):
        train(tmp_path / "all", 8, module=module, callbacks=[FiniteGuard("skip", max_skips=2)])
    torch.testing.assert_close(list(module.parameters()), untouched)


@pytest.mark.parametrize("policy", ["raise", "skip"])
@pytest.mark.parametrize(
    ("what", "named"), [("loss", "the loss is"), ("gradient", "the gradient of trained.")]
)
def test_n1_one_bad_rank_stops_or_skips_on_all(
    tmp_path: Path, policy: Any, what: str, named: str
) -> None:
    def rank() -> tuple[str, list[float]]:
        strategy, guard = data_parallel(backend="gloo", timeout_seconds=20), FiniteGuard(policy)
        module, said = _OnRank1(), ""
        module.spoil = spoil(what, step=2)
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


class _OnRank1(TinyModule):
    """Spoilt there alone, and only in a gradient that no other rank has averaged into its own."""

    def factor(self, name: str) -> float:
        return super().factor(name) if self.global_rank == 1 else 1.0


@pytest.mark.parametrize("max_skips", [-1, 1.5])
def test_max_skips_is_a_count(max_skips: Any) -> None:
    with pytest.raises(ValueError, match=f"max_skips is {max_skips}; it must be a whole number"):
        FiniteGuard(max_skips=max_skips)
