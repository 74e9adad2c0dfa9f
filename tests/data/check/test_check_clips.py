"""Every listed clip has one row, whatever became of it; rows survive the file they are kept in."""

import json
import os
import signal
import time
from fractions import Fraction

import pytest
import torch

from mmdiff.data.check import check_clips as room
from mmdiff.data.check.check_clips import check_clip, check_clips
from mmdiff.data.check.report import ClipReport, DataReport
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.sources.listing import ClipEntry, Listing
from mmdiff.media.clip import Clip
from mmdiff.media.limits import Limits
from mmdiff.media.rejection import Reason
from tests.data.listed import Listed

SPEC = ClipSpec(num_frames=5, height=16, width=16, frame_rate=8, sample_rate=16000)
NAMES = ("kept.mp4", "large.mp4", "damaged.mp4", "short.mp4", "sound.wav", "gone.mp4")


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


def test_notes_of_the_list_are_told(folder):
    class Noted(Listed):
        def listing(self):
            note = ("byte order mark removed",)
            entry = ClipEntry("kept.mp4", "a", self.folder / "kept.mp4", notes=note)
            return Listing((entry,), ())

    row = check_clip(ListedClips(Noted(folder, ()), SPEC), 0)
    assert (row.status, row.adaptations) == ("adapted", ("byte order mark removed",))
