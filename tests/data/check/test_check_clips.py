"""Every listed clip has one row, whatever became of it; rows survive the file they are kept in."""

import json
import math
import os
import signal
import time
from fractions import Fraction

import pytest
import torch
from matplotlib.image import imread

from mmdiff.data.check import check_clips as room
from mmdiff.data.check.check_clips import check_clip, check_clips
from mmdiff.data.check.estimate import estimated
from mmdiff.data.check.loudness import loudness_of
from mmdiff.data.check.report import ClipReport, DataReport, type_of
from mmdiff.data.check.report_picture import save_picture
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.sources.listing import ClipEntry, Listing
from mmdiff.media.clip import Clip
from mmdiff.media.limits import Limits
from mmdiff.media.rejection import Reason, Rejection
from tests.data.listed import Listed

SPEC = ClipSpec(num_frames=5, height=16, width=16, frame_rate=8, sample_rate=16000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clip of the shape of the spec, a larger one, a damaged one, a short one, a sound."""
    root = tmp_path_factory.mktemp("clips")
    draw = torch.Generator().manual_seed(0)

    def picture(count, height, width):
        frames = torch.randint(0, 256, (count, height, width, 3), generator=draw)
        return frames.to(torch.uint8)

    sound = 0.1 * torch.randn(2, 20000, generator=draw).clamp(-1, 1)
    Clip(picture(5, 16, 16), Fraction(8), sound[:1, :10000], 16000).save(root / "kept.mp4")
    Clip(picture(12, 32, 48), Fraction(16), sound, 16000).save(root / "large.mp4")
    Clip(picture(2, 16, 16), Fraction(8)).save(root / "short.mp4")
    Clip(waveform=sound[:1, :10000], sample_rate=16000).save(root / "sound.wav")
    (root / "damaged.mp4").write_bytes((root / "large.mp4").read_bytes()[:900])
    return root


NAMES = ("kept.mp4", "large.mp4", "damaged.mp4", "short.mp4", "sound.wav", "gone.mp4")


def report_of(clips, num_workers=0):
    rows = dict(check_clips(clips, num_workers=num_workers))
    return DataReport(tuple(rows[index] for index in sorted(rows)))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_counts_add_up_to_what_was_listed(folder, num_workers):
    clips = ListedClips(Listed(folder, NAMES, num_unlisted=3), SPEC)
    report = report_of(clips, num_workers)
    assert len(report.rows) == len(clips) == len(NAMES) + 3
    assert sum(map(report.count, ("kept", "adapted", "dropped"))) == len(clips)
    assert sum(reason.count for reason in report.reasons()) == report.count("dropped")
    assert [row.file for row in report.rows] == [*NAMES, "row 0", "row 1", "row 2"]
    by_file = {row.file: row for row in report.rows}
    assert {name: by_file[name].status for name in NAMES} == {
        "kept.mp4": "kept",
        "large.mp4": "adapted",
        "damaged.mp4": "dropped",
        "short.mp4": "dropped",
        "sound.wav": "kept",
        "gone.mp4": "dropped",
    }
    for row in report.rows:
        assert (row.status == "dropped") == (row.reason is not None)
        assert (row.status == "adapted") == bool(row.adaptations)
        if row.status == "dropped":
            assert row.file in row.message
            assert row.stage in ("list", "open", "decode", "fit")
    assert by_file["short.mp4"].stage == "fit"
    assert by_file["short.mp4"].num_frames == 2, "what is too short is measured all the same"
    large = by_file["large.mp4"]
    assert (large.num_frames, large.height, large.width, large.frame_rate) == (12, 32, 48, 16)
    assert (large.sample_rate, large.channels, large.audio_seconds) == (16000, 2, 1.25)
    assert large.loudness_unit == "LUFS"


def test_rows_survive_their_file(folder, tmp_path):
    report = report_of(ListedClips(Listed(folder, NAMES, num_unlisted=1), SPEC))
    path = report.save(tmp_path)
    assert path.name == "report.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [ClipReport(**{**row, "adaptations": tuple(row["adaptations"])}) for row in rows] == [
        *report.rows
    ]


class Killing(ListedClips):
    """In place of a file that makes a codec crash: item 1 kills the process, item 3 hangs."""

    def spec_of(self, index):
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == 3:
            time.sleep(600)
        return super().spec_of(index)


def test_v5_a_file_that_kills_or_blocks_a_process_is_a_row_too(folder, monkeypatch):
    monkeypatch.setattr(room, "GRACE_SECONDS", 0.0)
    names = ("kept.mp4", "large.mp4", "short.mp4", "sound.wav", "gone.mp4")
    clips = Killing(Listed(folder, names), SPEC, limits=Limits(max_seconds=2))
    report = report_of(clips, num_workers=2)
    assert [row.file for row in report.rows] == list(names)
    killed, blocked = report.rows[1], report.rows[3]
    assert (killed.status, killed.reason) == ("dropped", Reason.DAMAGED)
    assert "large.mp4 ended the process that read it" in killed.message
    assert (blocked.status, blocked.reason) == ("dropped", Reason.TOO_SLOW)
    assert [report.rows[index].status for index in (0, 2, 4)] == ["kept", "dropped", "dropped"]


@pytest.mark.parametrize(
    "num_good, num_bad, fraction, is_good",
    [
        (99, 1, 0.01, True),
        (98, 2, 0.01, False),
        (0, 3, 1.0, False),
        (1, 3, 1.0, True),
        (0, 0, 1, 0),
    ],
)
def test_when_too_much_is_dropped(num_good, num_bad, fraction, is_good):
    bad = Rejection("a", Reason.EMPTY, "open", "a is empty; leave it out")
    rows = [ClipReport("b", "kept")] * num_good + [ClipReport.dropped(bad)] * num_bad
    assert DataReport(tuple(rows), fraction).is_good == is_good


def test_reasons_come_with_an_example():
    rows = [
        ClipReport.dropped(Rejection(f"{i}", Reason.EMPTY, "open", f"{i} is empty"))
        for i in range(3)
    ]
    rows.append(ClipReport.dropped(Rejection("x", Reason.MISSING, "open", "x is not there")))
    first, second = DataReport(tuple(rows)).reasons()
    assert (first.reason, first.count, first.example) == (Reason.EMPTY, 3, "0 is empty")
    assert (second.reason, second.count) == (Reason.MISSING, 1)


def test_adaptations_of_one_kind_are_counted_together():
    phrases = [("30 -> 16 fps", "cut by 2 s"), ("30 -> 16 fps", "cut by 3.1 s"), ("cut by 4 s",)]
    rows = tuple(ClipReport("a", "adapted", adaptations=told) for told in phrases)
    assert DataReport(rows).adaptations() == [
        ("cut by 2 s, and 2 like it with other numbers", 3),
        ("30 -> 16 fps", 2),
    ]


@pytest.mark.parametrize(
    "phrase, kind",
    [
        ("cut by 12.9 s, begins at 3 s", "cut"),
        ("cropped 720 x 1280 -> 720 x 720", "cropped"),
        ("29.97 -> 16 fps", "fps"),
        ("44100 -> 16000 Hz", "Hz"),
        ("mono from 2 channels", "mono"),
        ("silence behind 1.2 s of sound", "silence"),
    ],
)
def test_the_kind_of_an_adaptation(phrase, kind):
    assert type_of(phrase) == kind


def test_the_picture_is_a_png_for_any_report(folder, tmp_path):
    report = report_of(ListedClips(Listed(folder, NAMES), SPEC))
    for name, one in {"full": report, "empty": DataReport(())}.items():
        path = tmp_path / f"{name}.png"
        save_picture(one, SPEC, path)
        assert imread(path).shape[:2] == (825, 1210)


def test_loudness_of_a_sine_is_the_closed_form():
    # ITU-R BS.1770: a sine of 997 Hz at full scale in one channel is -3.01 LUFS.
    time_seconds = torch.arange(3 * 48000) / 48000
    sine = torch.sin(2 * math.pi * 997 * time_seconds)[None]
    assert loudness_of(sine, 48000).value == pytest.approx(-3.01, abs=0.05)
    assert loudness_of(0.1 * sine, 48000).value == pytest.approx(-23.01, abs=0.05)
    short = loudness_of(sine[:, :4800], 48000)
    assert (short.unit, round(short.value, 1)) == ("dBFS", -3.0)
    assert loudness_of(0 * sine, 48000).is_silence
    assert loudness_of(0 * sine[:, :100], 48000).is_silence
    assert loudness_of(sine.repeat(6, 1), 48000).unit == "dBFS"


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


def test_notes_of_the_list_are_told(folder):
    class Noted(Listed):
        def listing(self):
            note = ("byte order mark removed",)
            entry = ClipEntry("kept.mp4", "a", self.folder / "kept.mp4", notes=note)
            return Listing((entry,), ())

    row = check_clip(ListedClips(Noted(folder, ()), SPEC), 0)
    assert (row.status, row.adaptations) == ("adapted", ("byte order mark removed",))
