"""Faults planned in this very process, for one test."""

from collections.abc import Callable, Iterator

import pytest

from mmdiff.testing.fault_plan import VARIABLE, load_fault_plan


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Plans what it is called with, in place of what was planned before; nothing afterwards."""

    def plan(text: str) -> None:
        monkeypatch.setenv(VARIABLE, text)
        load_fault_plan()

    yield plan
    monkeypatch.undo()
    load_fault_plan()
