"""A folder lists its clips: by table or by the texts beside them, in one order, nothing lost."""

import random
from pathlib import Path

import pytest

from mmdiff.data.sources.folder import ClipFolder
from mmdiff.media.rejection import Reason


def _files(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"caption of {name}".encode() if name.endswith(".txt") else b"clip")


def test_a_table_lists_files_spans_and_sound(tmp_path: Path) -> None:
    _files(tmp_path, "a.mp4", "b.mp4", "sound/b.wav")
    (tmp_path / "metadata.csv").write_text(
        "file_name,text,audio_file_name,start,end\n"
        "b.mp4,two,sound/b.wav,,\na.mp4,one,,0,2.5\n./a.mp4,one again,,2.5,5\n"
    )
    listing = ClipFolder(tmp_path).listing()
    assert [(e.key, e.caption) for e in listing.entries] == [
        ("b.mp4", "two"),
        ("a.mp4#0-2.5", "one"),
        ("a.mp4#2.5-5", "one again"),
    ]
    assert listing.rejections == ()
    first, second, _ = listing.entries
    assert first.audio == (tmp_path / "sound/b.wav").resolve() and second.audio is None
    assert (second.start_seconds, second.end_seconds) == (0.0, 2.5)
    assert first.media == (tmp_path / "b.mp4").resolve()


def test_tables_in_folders_name_files_beside_them(tmp_path: Path) -> None:
    _files(tmp_path, "train/a.mp4", "more/a.mp4")
    for folder in ("train", "more"):
        (tmp_path / folder / "metadata.csv").write_text(f"file_name,text\na.mp4,{folder}\n")
    listing = ClipFolder(tmp_path).listing()
    assert [(e.key, e.caption) for e in listing.entries] == [
        ("more/a.mp4", "more"),
        ("train/a.mp4", "train"),
    ]
    (tmp_path / "more/metadata.jsonl").write_text('{"file_name": "a.mp4", "text": "x"}')
    with pytest.raises(ValueError, match=r"more holds metadata\.csv, metadata\.jsonl; keep one"):
        ClipFolder(tmp_path).listing()
    assert len(ClipFolder(tmp_path, metadata="train/metadata.csv").listing().entries) == 1


def test_a_table_may_lie_elsewhere(tmp_path: Path) -> None:
    _files(tmp_path / "root", "a.mp4")
    table = tmp_path / "mine.csv"
    table.write_text("file_name,text\na.mp4,one\n")
    listing = ClipFolder(tmp_path / "root", metadata=str(table)).listing()
    assert [e.key for e in listing.entries] == ["a.mp4"]
    with pytest.raises(ValueError, match=r"metadata is 'captions\.csv', not there"):
        ClipFolder(tmp_path / "root", metadata="captions.csv").listing()


def test_v9_duplicate_ids_are_told(tmp_path: Path) -> None:
    _files(tmp_path, "a.mp4")
    (tmp_path / "metadata.csv").write_text(
        "file_name,text,start,end\na.mp4,one,,\na.mp4,one,,\n./a.mp4,two,,\na.mp4,one,1,2\n"
        "a.mp4,one,1.0,2.0\n"
    )
    listing = ClipFolder(tmp_path).listing()
    assert [e.key for e in listing.entries] == ["a.mp4", "a.mp4#1-2"]
    assert [fault.reason for fault in listing.rejections] == [Reason.DUPLICATE] * 3
    messages = [fault.message for fault in listing.rejections]
    assert "with the same caption" in messages[0] and "with another caption" in messages[1]


def test_every_row_is_an_entry_or_a_rejection(tmp_path: Path) -> None:
    _files(tmp_path, *(f"{i}.mp4" for i in range(0, 60, 2)))
    captions = ["fine", "", "\x07bell", "x" * 20_000, "caf\udce9"]
    rows = [f"{i}.mp4,{captions[i % 5]},{'' if i % 7 else 9},{8 - i % 3}" for i in range(60)]
    text = "\n".join(["file_name,text,start,end", *rows])
    (tmp_path / "metadata.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    listing = ClipFolder(tmp_path).listing()
    assert len(listing.entries) + len(listing.rejections) == 60
    assert len(listing.entries) > 5
    reasons = {fault.reason for fault in listing.rejections}
    assert reasons == {Reason.MISSING, Reason.BAD_CAPTION, Reason.BAD_SPAN}


def test_media_in_no_table_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _files(tmp_path, "a.mp4", "a.wav", "forgotten.mp4", "notes.pdf")
    (tmp_path / "metadata.csv").write_text("file_name,text,audio_file_name\na.mp4,one,a.wav\n")
    ClipFolder(tmp_path).listing()
    assert "1 media files are in no table" in caplog.text and "'forgotten.mp4'" in caplog.text


def test_sidecars_in_any_folder_in_one_order(tmp_path: Path) -> None:
    stems = [f"{folder}clip {k}" for folder in ("", "b/", "b/c/", "ü/") for k in (1, 2, 10)]
    names = [f"{stem}{suffix}" for stem in stems for suffix in (".mp4", ".txt")]
    listings = []
    for attempt in range(3):
        root = tmp_path / str(attempt)
        random.Random(attempt).shuffle(names)  # the order in which a folder gives its files
        _files(root, *names)
        listings.append(ClipFolder(root).listing())
    keys = [[e.key for e in listing.entries] for listing in listings]
    assert keys[0] == keys[1] == keys[2] == sorted(f"{stem}.mp4" for stem in stems)
    assert all(e.caption == f"caption of {e.key[:-4]}.txt" for e in listings[0].entries)
    assert not listings[0].rejections


def test_sidecars_of_all_kinds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _files(
        tmp_path,
        *("video.mp4", "video.txt", "video.wav"),  # sound beside a picture
        *("still.PNG", "still.txt"),
        *("sound.flac", "sound.TXT"),
        *("scene:1.mp4", "scene:1.txt"),  # no protocol: nobody names it but the file system
        *("v1.5.mp4", "v1.5.txt"),
        *("both.mp4", "both.webm", "both.txt"),
        *("silent.mp4", "orphan.txt", "README.txt", "data.json", ".hidden.mp4", "._video.mp4"),
    )
    listing = ClipFolder(tmp_path).listing()
    assert [e.key for e in listing.entries] == [
        *("both.mp4", "scene:1.mp4", "sound.flac", "still.PNG", "v1.5.mp4", "video.mp4")
    ]
    assert {e.key: e.audio for e in listing.entries if e.audio} == {
        "video.mp4": (tmp_path / "video.wav").resolve()
    }
    assert {fault.file: fault.reason for fault in listing.rejections} == {
        "both.webm": Reason.DUPLICATE,
        "orphan.txt": Reason.MISSING,
        "silent.mp4": Reason.BAD_CAPTION,
    }
    assert "1 .json" in caplog.text


def test_v9_sidecars_with_odd_captions(tmp_path: Path) -> None:
    contents = {
        "good": b"a cat\r\n",
        "mark": b"\xef\xbb\xbfa cat",
        "empty": b"",
        "latin": "café".encode("latin-1"),
        "wide": "a cat".encode("utf-16"),
        "long": b"x" * 100_000,
        "bell": b"a\x07cat",
    }
    for stem, content in contents.items():
        _files(tmp_path, f"{stem}.mp4")
        (tmp_path / f"{stem}.txt").write_bytes(content)
    listing = ClipFolder(tmp_path).listing()
    found = {e.key: (e.caption, len(e.notes)) for e in listing.entries}
    assert found == {"bell.mp4": ("a cat", 1), "good.mp4": ("a cat", 0), "mark.mp4": ("a cat", 1)}
    assert {fault.file for fault in listing.rejections} == {
        *("empty.mp4", "latin.mp4", "long.txt", "wide.mp4")
    }
    assert {fault.reason for fault in listing.rejections} == {Reason.BAD_CAPTION}


@pytest.mark.parametrize(
    "names, message",
    [
        (["a.mp4"], r"holds 1 media files, 0 \.txt files.*metadata\.csv"),
        (["a.txt"], r"holds 0 media files, 1 \.txt"),
        (["prompts.txt", "videos.txt"], "data=pairs"),
        (["shard-000.tar"], "data=shards"),
        (["a.mp4", "captions.csv"], r"metadata=captions\.csv"),
    ],
)
def test_other_layouts_are_recognised(tmp_path: Path, names: list[str], message: str) -> None:
    _files(tmp_path, *names)
    with pytest.raises(ValueError, match=message):
        ClipFolder(tmp_path).listing()


def test_links_between_folders_end(tmp_path: Path) -> None:
    _files(tmp_path, "a/x.mp4", "a/x.txt", "b/y.mp4", "b/y.txt")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "b/a").symlink_to(tmp_path / "a")
    listing = ClipFolder(tmp_path).listing()
    assert [e.key for e in listing.entries] == ["a/x.mp4", "b/y.mp4"]


def test_names_with_line_ends_are_listed_and_told_on_one_line(tmp_path: Path) -> None:
    _files(tmp_path, "two\nlines.mp4", "two\nlines.txt", "no\ncaption.mp4")
    listing = ClipFolder(tmp_path).listing()
    assert [e.key for e in listing.entries] == ["two\nlines.mp4"]
    assert [fault.file for fault in listing.rejections] == ["no\ncaption.mp4"]


def test_s6_a_table_that_links_out_of_the_root_is_refused(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.mp4").write_bytes(b"clip")
    (tmp_path / "secret.csv").write_text("file_name,text\na.mp4,very secret\n")
    (root / "metadata.csv").symlink_to(tmp_path / "secret.csv")
    for source in (ClipFolder(root), ClipFolder(root, "metadata.csv")):
        with pytest.raises(ValueError, match="links to a place outside"):
            source.listing()
    assert len(ClipFolder(root, allow_external=True).listing().entries) == 1


@pytest.mark.parametrize("root", ["", " "])
def test_an_empty_root_is_not_the_working_folder(root):
    with pytest.raises(ValueError, match="root is empty"):
        ClipFolder(root).listing()
