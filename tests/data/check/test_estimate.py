"""What a data set will cost."""

import pytest

from mmdiff.data.check.estimate import estimated
from mmdiff.data.check.report import ClipReport, DataReport
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.media.rejection import Reason


def test_the_estimate_counts_what_will_be_kept():
    rows = [ClipReport("a", "kept", height=64, sample_rate=16000, decoded_bytes=10**6, seconds=0.5)]
    rows += [ClipReport("b", "kept", height=64, decoded_bytes=10**6, seconds=0.5)]
    report = DataReport((*rows, ClipReport("c", "dropped", Reason.EMPTY, "open", "c is empty")))
    estimate = estimated(report, ClipSpec(), batch_size=4, num_workers=2)
    video, audio = 16 * 9 * 8 * 8, 8 * 36 * 16
    assert estimate.cache_bytes == 2 * (2 * video + audio)
    assert estimate.batch_bytes == 4 * (33 * 64 * 64 * 3 + 33000 * 4)
    assert estimate.loader_bytes == 5 * estimate.batch_bytes + 2 * 10**6
    assert estimate.batch_seconds == pytest.approx(1.0)
    wrong = estimated(report, ClipSpec(num_frames=20), batch_size=4, num_workers=2)
    assert wrong.cache_bytes is None
    assert "17 or 21" in wrong.cache_problem


def test_of_long_clips_only_what_is_read_counts():
    row = ClipReport("a", "kept", height=64, video_seconds=51.25, decoded_bytes=10**7, seconds=8)
    report = DataReport((row,))
    read = (33 / 16 + 0.5) / 51.25
    estimate = estimated(report, ClipSpec(), batch_size=1, num_workers=1)
    assert estimate.batch_seconds == pytest.approx(8 * read)
    assert estimate.loader_bytes - 3 * estimate.batch_bytes == pytest.approx(1e7 * read, abs=1)
    anywhere = estimated(report, ClipSpec(span="random"), batch_size=1, num_workers=1)
    assert anywhere.batch_seconds == pytest.approx(8)
