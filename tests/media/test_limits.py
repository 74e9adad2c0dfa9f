"""What one file may cost."""

import pytest

from mmdiff.media.limits import Limits
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection


@pytest.fixture(scope="module")
def plain(corpus):
    return corpus["plain.mp4"].path


@pytest.mark.parametrize(
    "limits, reason",
    [
        (Limits(max_file_bytes=1000), Reason.TOO_LARGE),
        (Limits(max_decoded_bytes=100_000), Reason.TOO_LARGE),
        (Limits(max_duration_seconds=1.5), Reason.TOO_LONG),
        (Limits(max_side=63), Reason.TOO_LARGE),
        (Limits(max_frames=31), Reason.TOO_LONG),
        (Limits(max_seconds=1e-6), Reason.TOO_SLOW),
    ],
    ids=str,
)
def test_each_limit_refuses_and_is_named(plain, limits, reason):
    outcome = decode_clip(plain, limits=limits)
    assert isinstance(outcome, Rejection)
    assert outcome.reason is reason
    changed = [name for name in vars(limits) if vars(limits)[name] != vars(Limits())[name]]
    assert changed[0] in outcome.message


def test_limits_hold_for_the_span_not_for_the_file(plain):
    limits = Limits(max_duration_seconds=1, max_frames=16)
    assert decode_clip(plain, limits=limits, start_seconds=0.5, end_seconds=1.5).num_frames == 16


def test_a_limit_is_positive():
    with pytest.raises(ValueError, match="max_side is 0"):
        Limits(max_side=0)
