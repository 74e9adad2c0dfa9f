import io
import multiprocessing
import struct
import time

import pytest

from mmdiff.media.limits import Limits
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection
from tests.media.gate_worker import cost_of
from tests.media.odd_files import claim_samples

MIB = 2**20


class SlowStream(io.BytesIO):
    """Like a disk over a network that is nearly dead."""

    def read(self, size: int | None = -1, /) -> bytes:
        time.sleep(0.1)
        return super().read(64 if size is None else min(size, 64))


class BrokenStream(io.BytesIO):
    """Fails for good after some bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 3000:
            raise OSError(5, "Input/output error")
        return super().read(size)


def _reason(outcome) -> Reason:
    assert isinstance(outcome, Rejection)
    return outcome.reason


@pytest.fixture(scope="module")
def plain(odd_corpus):
    return odd_corpus["plain.mp4"].path


@pytest.fixture
def padded_claim(plain, tmp_path):
    """A file that is large enough to hold the million frames that it claims."""
    path = tmp_path / "padded.mp4"
    padding = struct.pack(">I4s", 2 * MIB + 8, b"free") + bytes(2 * MIB)
    path.write_bytes(claim_samples(plain.read_bytes(), 10**6) + padding)
    return path


def test_s8_bombs_are_refused_fast_and_small(odd_corpus, plain, padded_claim):
    names = ("huge.mov", "huge_inside.mov", "million.mp4", "billion.mp4", "bomb.png")
    paths = [plain, padded_claim, *(odd_corpus[name].path for name in names)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        costs = pool.apply(cost_of, (paths,))
    assert costs[0].outcome == "accepted"
    assert costs[1].outcome == "too_long"
    for cost in costs[1:]:
        assert cost.outcome in ("too_large", "too_long", "damaged")
        assert cost.seconds <= 2
        assert cost.peak_growth <= 300 * MIB


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
    assert _reason(outcome) is reason
    changed = [name for name in vars(limits) if vars(limits)[name] != vars(Limits())[name]]
    assert changed[0] in outcome.message


def test_limits_hold_for_the_span_not_for_the_file(plain):
    limits = Limits(max_duration_seconds=1, max_frames=16)
    assert decode_clip(plain, limits=limits, start_seconds=0.5, end_seconds=1.5).num_frames == 16


def test_a_limit_is_positive():
    with pytest.raises(ValueError, match="max_side is 0"):
        Limits(max_side=0)


def test_a_slow_file_ends_at_the_deadline(plain):
    start = time.monotonic()
    outcome = decode_clip(SlowStream(plain.read_bytes()), limits=Limits(max_seconds=0.5))
    assert _reason(outcome) is Reason.TOO_SLOW
    assert time.monotonic() - start < 3


def test_a_read_that_fails_is_told_and_not_taken_for_the_end(plain, odd_corpus, capfd):
    for path in (plain, odd_corpus["plain.mkv"].path, odd_corpus["sound.wav"].path):
        outcome = decode_clip(BrokenStream(path.read_bytes()), name="broken.mp4")
        assert _reason(outcome) is Reason.UNREADABLE
        assert "Input/output error" in outcome.message
    assert capfd.readouterr().err == ""


def test_a_stream_that_cannot_seek_is_refused(plain):
    stream = io.BytesIO(plain.read_bytes())
    stream.close()
    assert _reason(decode_clip(stream, name="closed.mp4")) is Reason.UNREADABLE
