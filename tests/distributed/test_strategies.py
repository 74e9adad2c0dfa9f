"""P4: ranks never wait without end."""

from datetime import timedelta

import pytest

from mmdiff.distributed.strategies import data_parallel


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_p4_a_timeout_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=f"timeout_seconds is {seconds}; it must be above 0"):
        data_parallel(timeout_seconds=seconds)


def test_p4_ten_minutes_unless_said_otherwise() -> None:
    assert data_parallel()._timeout == timedelta(minutes=10)
