"""Captions and files line by line."""

from pathlib import Path

import pytest

from mmdiff.data.sources.pairs import PairLists
from mmdiff.media.rejection import Reason


def _write(root: Path, prompts: bytes, videos: bytes) -> PairLists:
    (root / "prompts.txt").write_bytes(prompts)
    (root / "videos.txt").write_bytes(videos)
    (root / "videos").mkdir(exist_ok=True)
    for stem in "abc":
        (root / f"videos/{stem}.mp4").write_bytes(b"x")
    return PairLists(root)


VIDEOS = b"videos/b.mp4\nvideos/a.mp4\nvideos/c.mp4\n"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_pairs_in_the_order_of_the_lines(tmp_path: Path, end: bytes) -> None:
    lists = _write(tmp_path, end.join([b"two", b"one", b"three", b""]), VIDEOS)
    listing = lists.listing()
    assert [(e.key, e.caption) for e in listing.entries] == [
        ("videos/b.mp4", "two"),
        ("videos/a.mp4", "one"),
        ("videos/c.mp4", "three"),
    ]
    assert listing.entries[0].media == (tmp_path / "videos/b.mp4").resolve()
    assert not listing.rejections


@pytest.mark.parametrize("prompts, count", [(b"one\ntwo", 2), (b"1\n2\n3\n4\n\n\n", 4)])
def test_unequal_lengths_name_both_counts(tmp_path: Path, prompts: bytes, count: int) -> None:
    lists = _write(tmp_path, prompts, VIDEOS)
    with pytest.raises(ValueError, match=rf"{count} lines and videos\.txt has 3"):
        lists.listing()


def test_v9_line_breaks_of_other_kinds_do_not_shift_the_lines(tmp_path: Path) -> None:
    prompts = "one\x0bstill one\ntwo\u2028still two\nthree\x85still three".encode()
    listing = _write(tmp_path, prompts, VIDEOS).listing()
    assert [e.caption for e in listing.entries] == [
        *("one still one", "two\u2028still two", "three still three")
    ]
    assert [bool(e.notes) for e in listing.entries] == [True, False, True]


def test_v9_odd_lines_spoil_themselves_only(tmp_path: Path) -> None:
    prompts = b"\xef\xbb\xbfone\n\ncaf\xe9"
    listing = _write(tmp_path, prompts, VIDEOS).listing()
    assert [(e.key, e.caption) for e in listing.entries] == [("videos/b.mp4", "one")]
    assert [fault.reason for fault in listing.rejections] == [Reason.BAD_CAPTION] * 2
    with pytest.raises(ValueError, match="UTF-16"):
        _write(tmp_path, "one\ntwo\nthree".encode("utf-16"), VIDEOS).listing()


def test_missing_files_and_duplicates_are_rejections(tmp_path: Path) -> None:
    videos = b"videos/a.mp4\nvideos/gone.mp4\nvideos/a.mp4\n"
    listing = _write(tmp_path, b"1\n2\n3\n", videos).listing()
    assert [e.key for e in listing.entries] == ["videos/a.mp4"]
    assert [fault.reason for fault in listing.rejections] == [Reason.MISSING, Reason.DUPLICATE]


def test_missing_and_empty_lists(tmp_path: Path) -> None:
    lists = _write(tmp_path, b"\n\n", VIDEOS)
    with pytest.raises(ValueError, match=r"prompts\.txt is empty"):
        lists.listing()
    with pytest.raises(ValueError, match=r"videos is 'clips\.txt', not there.*videos\.txt"):
        PairLists(tmp_path, prompts="videos.txt", videos="clips.txt").listing()
