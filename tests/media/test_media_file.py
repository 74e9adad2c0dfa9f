"""A stream of bytes that is slow, broken or closed."""

import io
import time

import pytest

from mmdiff.media.limits import Limits
from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason, Rejection


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


@pytest.fixture(scope="module")
def plain(corpus):
    return corpus["plain.mp4"].path


def _reason(outcome) -> Reason:
    assert isinstance(outcome, Rejection)
    return outcome.reason


def test_a_slow_file_ends_at_the_deadline(plain):
    start = time.monotonic()
    outcome = decode_clip(SlowStream(plain.read_bytes()), limits=Limits(max_seconds=0.5))
    assert _reason(outcome) is Reason.TOO_SLOW
    assert time.monotonic() - start < 3


def test_a_read_that_fails_is_told_and_not_taken_for_the_end(plain, corpus, capfd):
    for path in (plain, corpus["plain.mkv"].path, corpus["sound.wav"].path):
        outcome = decode_clip(BrokenStream(path.read_bytes()), name="broken.mp4")
        assert _reason(outcome) is Reason.UNREADABLE
        assert "Input/output error" in outcome.message
    assert capfd.readouterr().err == ""


def test_a_stream_that_cannot_seek_is_refused(plain):
    stream = io.BytesIO(plain.read_bytes())
    stream.close()
    assert _reason(decode_clip(stream, name="closed.mp4")) is Reason.UNREADABLE
