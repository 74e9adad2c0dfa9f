"""Lists: spans as they write them; long ones are read with a bar, and no further than they can be
meant."""

import time

import pytest

from mmdiff.data.sources import listing_builder
from mmdiff.data.sources.folder import ClipFolder
from mmdiff.data.sources.listing_builder import read_span, span_mark
from mmdiff.media.rejection import Reason, RejectedMedia
from mmdiff.values import progress


@pytest.fixture
def root(tmp_path):
    """Two clips, and a table that names them and twenty that are not there."""
    names = [f"{index}.mp4" for index in range(22)]
    for name in names[:2]:
        (tmp_path / name).touch()
    lines = ["file_name,text", *(f"{name},a ball" for name in names)]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    return tmp_path


def test_a_list_of_little_but_faults_is_read_no_further(root, monkeypatch):
    assert len(ClipFolder(root).listing().rejections) == 20
    monkeypatch.setattr(listing_builder, "MOST_REJECTED", 10)
    with pytest.raises(ValueError, match=r"11 of the first 13 clips .* '12.mp4' is not there"):
        ClipFolder(root).listing()


def test_a_list_that_takes_long_says_how_far_it_is(root, monkeypatch, capsys):
    ClipFolder(root).listing()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(listing_builder, "SHOWN_AFTER_SECONDS", 0)
    monkeypatch.setitem(progress.SECONDS_BETWEEN, "line", 0)
    ClipFolder(root).listing()
    lines = capsys.readouterr().err.splitlines()
    assert "listing clips: 7" in lines
    assert lines[-1] == "listing clips: 22"


def test_what_is_not_there_costs_the_same_in_a_folder_of_many(tmp_path):
    """Nearest names are looked for in a few cases: in each, a list takes hours."""
    for index in range(1000):
        (tmp_path / f"{index}.mp4").touch()
    lines = ["file_name,text", *(f"x{index}.mp4,a ball" for index in range(2000))]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    began = time.process_time()
    rejections = ClipFolder(tmp_path).listing().rejections
    assert time.process_time() - began < 4  # 20 seconds, where each name is compared
    hints = [one for one in rejections if "did you mean" in one.message]
    assert len(rejections) == 2000 and 0 < len(hints) <= 20


@pytest.mark.parametrize(
    "start, end, span, mark",
    [
        (None, None, (None, None), ""),
        ("", " ", (None, None), ""),
        ("1.5", "3", (1.5, 3.0), "#1.5-3"),
        (0, 2, (0.0, 2.0), "#0-2"),
        (None, 2.25, (None, 2.25), "#0-2.25"),
        (4, None, (4.0, None), "#4-"),
    ],
)
def test_spans_and_their_marks(start, end, span, mark):
    assert read_span(start, end, file="a.mp4") == span
    assert span_mark(*span) == mark


@pytest.mark.parametrize(
    "start, end",
    [
        ("a", None),
        ("00:01:00", None),
        (-1, None),
        ("nan", 2),
        (0, "inf"),
        (3, 2),
        (2, 2),
        (None, 0),
        (True, None),
        ([1], None),
        (10**400, None),
        ("9" * 10_000, None),
    ],
)
def test_what_is_no_span_is_reported(start, end):
    with pytest.raises(RejectedMedia, match=r"'a\.mp4'") as error:
        read_span(start, end, file="a.mp4")
    assert error.value.rejection.reason is Reason.BAD_SPAN
    assert len(str(error.value)) < 600


def test_marks_tell_close_spans_apart():
    marks = {span_mark(1.0, 2.0 + k * 1e-9) for k in range(100)}
    assert len(marks) == 100
