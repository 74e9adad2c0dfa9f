"""Learning rates over a run."""

import pytest
import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LRScheduler

from mmdiff.training.schedules import Constant, OneCycle, WarmupDecay


def _optimizer() -> AdamW:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.5)]
    return AdamW(groups)


def _rates(optimizer: AdamW, schedule: LRScheduler, steps: int = 100) -> list[list[float]]:
    rates = []
    for _ in range(steps + 1):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return rates


def test_one_cycle_rises_and_falls_in_all_groups() -> None:
    optimizer = _optimizer()
    rates = _rates(optimizer, OneCycle(optimizer, 100, warmup_fraction=0.1, final=0.01))
    assert rates[0] == pytest.approx([0.04, 0.02])
    assert rates[10] == [1.0, 0.5]
    assert rates[100] == pytest.approx([0.01, 0.005])
    assert [rate for rate, _ in rates[10:]] == sorted(
        (rate for rate, _ in rates[10:]), reverse=True
    )


def test_warmup_decay_has_its_three_parts() -> None:
    optimizer = _optimizer()
    schedule = WarmupDecay(optimizer, 100, warmup_steps=10, decay_fraction=0.3, final=0.1)
    rates = [rate for rate, _ in _rates(optimizer, schedule)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[20] == rates[69] == 1.0
    assert rates[85] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)


def test_constant_after_warmup() -> None:
    optimizer = _optimizer()
    rates = [rate for rate, _ in _rates(optimizer, Constant(optimizer, warmup_steps=4))]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0]) and rates[-1] == 1.0


@pytest.mark.parametrize(
    "schedule, arguments",
    [
        (OneCycle, {"total_steps": 0}),
        (OneCycle, {"total_steps": 9, "warmup_fraction": 1.5}),
        (Constant, {"warmup_steps": -1}),
        (WarmupDecay, {"total_steps": 9, "decay_fraction": float("nan")}),
    ],
)
def test_i1_a_schedule_that_would_go_uphill_or_nowhere_is_refused(schedule, arguments) -> None:
    with pytest.raises(ValueError, match=f"{list(arguments)[-1]} is "):
        schedule(_optimizer(), **arguments)


@pytest.mark.parametrize(
    "schedule, arguments",
    [
        (OneCycle, {"total_steps": 1}),
        (OneCycle, {"total_steps": 9, "warmup_fraction": 0, "start": 1, "final": 0}),
        (Constant, {}),
        (WarmupDecay, {"total_steps": 1, "warmup_steps": 0}),
        (WarmupDecay, {"total_steps": 9, "decay_fraction": 1, "final": 1}),
    ],
)
def test_rates_stay_between_nothing_and_the_configured(schedule, arguments) -> None:
    optimizer = _optimizer()
    rates = _rates(optimizer, schedule(optimizer, **arguments), steps=12)
    assert all(
        0 <= rate <= whole for pair in rates for rate, whole in zip(pair, (1.0, 0.5), strict=True)
    )
