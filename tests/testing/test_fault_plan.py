"""A fault strikes where it is planned and nowhere else, and costs nothing where none is."""

import errno
import os
import time
from collections.abc import Iterator

import pytest
import torch

from mmdiff.testing.fault_plan import (
    VARIABLE,
    Fault,
    FaultPlan,
    InjectedFault,
    fault_point,
    load_fault_plan,
    spoiled,
)
from tests.training.forked import exit_code, fork


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    load_fault_plan()


def _load(plan: pytest.MonkeyPatch, text: str, *, rank: int = 0) -> None:
    plan.setenv(VARIABLE, text)
    plan.setenv("RANK", str(rank))
    load_fault_plan()


def test_a_plan_is_read_as_it_is_written() -> None:
    text = "kill a.b step=20 rank=1 ; slow checkpoint.* seconds=0.5;nan loss hit=3;"
    assert FaultPlan.parse(text).faults == (
        Fault("kill", "a.b", step=20, rank=1),
        Fault("slow", "checkpoint.*", seconds=0.5),
        Fault("nan", "loss", hit=3),
    )


@pytest.mark.parametrize(
    "wrong", ["explode a", "kill", "kill a step", "kill a step=x", "nan a b=1"]
)
def test_a_wrong_plan_says_what_is_wrong(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"{VARIABLE} has '{wrong}'"):
        FaultPlan.parse(f"raise good; {wrong}")


def test_it_strikes_at_its_step_rank_and_passage_only(plan: pytest.MonkeyPatch) -> None:
    _load(plan, "raise a step=3; raise b.* hit=2; raise c rank=1")
    fault_point("a", 2)
    fault_point("a")
    with pytest.raises(InjectedFault, match="a"):
        fault_point("a", 3)
    fault_point("b.one")
    with pytest.raises(InjectedFault):
        fault_point("b.two")
    fault_point("b.three")
    fault_point("c")
    _load(plan, "raise c rank=1", rank=1)
    with pytest.raises(InjectedFault):
        fault_point("c")


def test_a_full_disk_and_nan(plan: pytest.MonkeyPatch) -> None:
    _load(plan, "enospc disk; nan loss step=1; slow here seconds=0.05")
    with pytest.raises(OSError) as error:
        fault_point("disk")
    assert error.value.errno == errno.ENOSPC
    loss = torch.ones(3, requires_grad=True)
    assert spoiled(loss, "loss", 0) is loss
    assert spoiled(loss, "loss", 1).isnan().all()
    with pytest.raises(ValueError, match="no tensor"):
        fault_point("loss", 1)
    start = time.monotonic()
    fault_point("here")
    assert time.monotonic() - start >= 0.05


def test_kill_and_hang_end_or_hold_the_process() -> None:
    assert exit_code(fork(lambda: fault_point("here"), faults="kill here")) == -9
    assert exit_code(fork(lambda: fault_point("there"), faults="kill here")) == 0
    hanging = fork(lambda: fault_point("here"), faults="hang here")
    time.sleep(0.2)
    assert os.waitpid(hanging, os.WNOHANG) == (0, 0)
    os.kill(hanging, 9)
    assert exit_code(hanging) == -9


def test_without_a_plan_a_point_costs_less_than_a_microsecond(plan: pytest.MonkeyPatch) -> None:
    _load(plan, "")
    tensor = torch.ones(1)

    def seconds(count: int = 20_000) -> float:
        start = time.perf_counter()
        for step in range(count):
            fault_point("train.step", step)
            spoiled(tensor, "train.loss", step)
        return (time.perf_counter() - start) / (2 * count)

    assert min(seconds() for _ in range(10)) < 1e-6
