"""The same table in CSV, JSON lines and Parquet says the same; a bad one says what is wrong."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from mmdiff.data.sources.folder import ClipFolder
from mmdiff.data.sources.listing import Listing
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.metadata import add_rows
from mmdiff.data.sources.safe_path import SafePath
from mmdiff.media.rejection import Reason

Row = dict[str, object]
ROWS: list[Row] = [
    {"file_name": "a.mp4", "text": "a cat", "audio_file_name": "a.wav", "start": 1.5, "end": 3.0},
    {"file_name": "b.mp4", "text": 'say "hi",\ntwice', "audio_file_name": None, "start": None},
    {"file_name": "猫/ü.mp4", "text": "кот 👨‍👩‍👧", "audio_file_name": "", "end": 2.0},
]
COLUMNS = ["file_name", "text", "audio_file_name", "start", "end"]


def _csv(folder: Path, rows: list[Row]) -> Path:
    path = folder / "metadata.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def _jsonl(folder: Path, rows: list[Row]) -> Path:
    path = folder / "metadata.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    return path


def _parquet(folder: Path, rows: list[Row]) -> Path:
    path = folder / "metadata.parquet"
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def _listing(path: Path) -> Listing:
    """Of a table, where every file is there."""
    builder = ListingBuilder()
    add_rows(path, builder, lambda name: SafePath(name, Path(name)))
    return builder.build()


@pytest.mark.parametrize("write", [_csv, _jsonl, _parquet])
def test_three_formats_say_the_same(
    tmp_path: Path, write: Callable[[Path, list[Row]], Path]
) -> None:
    listing = _listing(write(tmp_path, ROWS))
    assert [(e.key, e.caption, e.audio, e.end_seconds) for e in listing.entries] == [
        ("a.mp4#1.5-3", "a cat", Path("a.wav"), 3.0),
        ("b.mp4", 'say "hi",\ntwice', None, None),
        ("猫/ü.mp4#0-2", "кот 👨‍👩‍👧", None, 2.0),
    ]


@pytest.mark.parametrize("name", ["text", "caption", "prompt"])
def test_captions_go_by_three_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text(f"{name},file_name\na cat,a.mp4\n")
    assert [entry.caption for entry in _listing(path).entries] == ["a cat"]


@pytest.mark.parametrize(
    "header, message",
    [
        ("file_name,label", "no column 'text'.*Found: 'file_name', 'label'. Possible: file_name"),
        ("file,text", "no column 'file_name'"),
        ("filename,text", "'filename' is unknown: did you mean 'file_name'"),
        ("file_name,text,strat", "'strat' is unknown: did you mean 'start'"),
        ("file_name,text,caption", "'text' and 'caption': keep the one"),
        ("file_name,text,text", "the column 'text' more than once"),
        ("file_name;text", "separated by commas"),
    ],
)
def test_v9_columns_that_cannot_be_meant(tmp_path: Path, header: str, message: str) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text(f"{header}\n" + ",".join("x" * (header.count(",") + 1)) + "\n")
    with pytest.raises(ValueError, match=message):
        _listing(path)


def test_other_columns_are_left_alone_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text("id,file_name,text,aesthetic_score\n7,a.mp4,a cat,5.5\n")
    assert len(_listing(path).entries) == 1
    assert "columns not used: 'id', 'aesthetic_score'" in caplog.text


def test_v9_empty_tables(tmp_path: Path) -> None:
    (tmp_path / "zero.csv").touch()
    (tmp_path / "header.csv").write_text("file_name,text\n")
    (tmp_path / "blank.jsonl").write_text("\n\n")
    _parquet(tmp_path, [])
    for name, message in {
        "zero.csv": "is empty",
        "header.csv": "no rows",
        "blank.jsonl": "Found: nothing",
        "metadata.parquet": "no rows",
    }.items():
        with pytest.raises(ValueError, match=message):
            _listing(tmp_path / name)


def test_v9_csv_rows_that_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_bytes(
        b"\xef\xbb\xbffile_name,text\r\na.mp4,one\r\n\r\nb.mp4,two, three\r\nc.mp4\r\n"
        b',no name\r\nd.mp4,caf\xe9\r\ne.mp4,"say ""hi"",\r\ntwice"\r\n'
    )
    faults = [one for one in _listing(path).rejections if one.reason is Reason.BAD_ROW]
    assert [fault.file for fault in faults] == [f"metadata.csv line {n}" for n in (4, 5, 6)]
    for name in ("a.mp4", "d.mp4", "e.mp4"):
        (tmp_path / name).write_bytes(b"x")
    listing = ClipFolder(tmp_path).listing()
    assert {e.key: e.caption for e in listing.entries} == {
        "a.mp4": "one",
        "e.mp4": 'say "hi",\ntwice',
    }
    latin = [fault for fault in listing.rejections if fault.file == "d.mp4"]
    assert latin[0].reason is Reason.BAD_CAPTION and "UTF-8" in latin[0].message


@pytest.mark.parametrize(
    "content, message",
    [
        (b'file_name,text\na.mp4,"open\nb.mp4,two\n', "cannot be read on from line 3"),
        (b'file_name,text\na.mp4,"a" cat\n', "line 2"),
        (b"file_name,text\na.mp4," + b"x" * 200_000, "line 2.*limit"),
        ("file_name,text\na.mp4,one\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_v9_csv_that_cannot_be_read_on(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "metadata.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        _listing(path)


def test_v9_json_lines_that_are_no_rows(tmp_path: Path) -> None:
    lines = [
        '{"file_name": "a.mp4", "text": "one \\ud83d"}',
        "{not json",
        '["a.mp4", "two"]',
        '{"text": "no name"}',
        '{"file_name": 7, "text": "a number"}',
        "[" * 100_000,
        '{"file_name": "b.mp4", "text": null}',
        '{"file_name": "c.mp4", "text": "x", "start": ' + "9" * 5000 + "}",
        '{"file_name": "d.mp4", "text": {"a": 1}}',
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    for name in "abcd":
        (tmp_path / f"{name}.mp4").write_bytes(b"x")
    listing = ClipFolder(tmp_path).listing()
    assert [(e.key, e.caption) for e in listing.entries] == [("a.mp4", "one")]
    assert "lone surrogates" in listing.entries[0].notes[0]
    assert len(listing.rejections) == len(lines) - 1
    assert {fault.file for fault in listing.rejections} == {
        *(f"metadata.jsonl line {n}" for n in (2, 3, 4, 5, 6, 8)),
        *("b.mp4", "d.mp4"),
    }


def test_damaged_parquet_is_told(tmp_path: Path) -> None:
    path = _parquet(tmp_path, ROWS)
    content = path.read_bytes()
    for cut in (content[:100], b"PAR1" + b"\0" * 100, content[:-20] + b"\xff" * 20):
        path.write_bytes(cut)
        with pytest.raises(ValueError, match=r"metadata\.parquet is damaged or no Parquet table"):
            _listing(path)


def test_without_pyarrow_the_cure_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _parquet(tmp_path, ROWS)
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # what Python does for a missing package
    with pytest.raises(ValueError, match=r"pip install 'mmdiff\[parquet\]'"):
        _listing(path)


def test_no_table_format(tmp_path: Path) -> None:
    (tmp_path / "metadata.tsv").write_text("file_name\ttext\n")
    with pytest.raises(ValueError, match=r"give \.csv, \.jsonl, \.parquet"):
        _listing(tmp_path / "metadata.tsv")


def _listing_of(folder: Path, **columns: object) -> Listing:
    path = folder / "metadata.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return _listing(path)


def test_v9_columns_that_are_not_used_are_not_read(tmp_path: Path) -> None:
    """A time in nanoseconds, a date that Python cannot hold; asked for, it spoils its row only."""
    odd = {
        "created": pyarrow.array([1, 2], pyarrow.timestamp("ns")),
        "seen": pyarrow.array([10**15, 1], pyarrow.timestamp("s")),
    }
    names = {"file_name": ["a.mp4", "b.mp4"], "text": ["one", "two"]}
    assert [one.caption for one in _listing_of(tmp_path, **names, **odd).entries] == ["one", "two"]
    listing = _listing_of(tmp_path, **names, start=odd["seen"])
    assert [one.reason for one in listing.rejections] == [Reason.BAD_ROW, Reason.BAD_SPAN]


def test_v9_bytes_that_are_no_text_spoil_their_row_only(tmp_path: Path) -> None:
    raw = pyarrow.array([b"a\xff\xfe", b"good", None])
    for kind in (pyarrow.string(), pyarrow.large_string()):
        wide = pyarrow.binary() if kind == pyarrow.string() else pyarrow.large_binary()
        text = pyarrow.Array.from_buffers(kind, 3, raw.cast(wide).buffers())
        listing = _listing_of(tmp_path, file_name=["a.mp4", "b.mp4", "c.mp4"], text=text)
        assert [one.caption for one in listing.entries] == ["good"]
        assert [one.reason for one in listing.rejections] == [Reason.BAD_ROW, Reason.BAD_CAPTION]


def test_v9_an_empty_cell_of_pandas_is_an_empty_cell(tmp_path: Path) -> None:
    nan, names = float("nan"), {"file_name": ["a", "b"], "text": ["1", "2"]}
    listing = _listing_of(tmp_path, **names, start=[1.5, nan], end=[nan, 2])
    assert [one.key for one in listing.entries] == ["a#1.5-", "b#0-2"]


def test_v9_a_cell_that_is_too_long_is_told_with_its_cure(tmp_path):
    path = tmp_path / "metadata.csv"
    path.write_text(f"file_name,text\na.mp4,{'x' * 140_000}\nb.mp4,ok\n")
    with pytest.raises(ValueError, match=r"line 2: .*shorten the text of that line"):
        _listing(path)
