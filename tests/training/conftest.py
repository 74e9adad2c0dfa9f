"""Faults in this very process, for one test."""

from collections.abc import Callable, Iterator

import pytest

from tests.training.faults import Fault, inject


@pytest.fixture
def faults() -> Iterator[Callable[..., None]]:
    """Plans what it is called with, in place of what was planned before; nothing afterwards."""
    with pytest.MonkeyPatch.context() as patch:

        def plan(*planned: Fault) -> None:
            patch.undo()
            inject(planned, patch)

        yield plan
