"""Tables on disk as rows of cells: CSV, JSON lines, Parquet. One row is read at a time."""

import codecs
import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mmdiff.data.sources.listing import left_out
from mmdiff.data.sources.listing_builder import MOST_CLIPS
from mmdiff.media.rejection import Reason, Rejection

TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")
TABLE_NAMES = tuple(f"metadata{suffix}" for suffix in TABLE_SUFFIXES)
MAX_TABLE_BYTES = 2**30  # what a table may hold, unpacked; more is no list of clips


@dataclass(frozen=True)
class TableRow:
    """place: "metadata.csv line 7"; cells: values by column, of the types that the format has"""

    place: str
    cells: Mapping[str, object]


@dataclass(frozen=True)
class Table:
    """rows: in order, to be read once; a row that cannot be read is a rejection. They raise
    ValueError where nothing behind a place can be read either: an open quote, a damaged file."""

    columns: list[str]
    rows: Iterator[TableRow | Rejection]


def read_table(path: Path, only: Collection[str] | None = None) -> Table:
    """A table of any format; ValueError if the file is none, too large or empty.

    only  columns whose cells are needed; others may hold what Python cannot
    """
    readers = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path} is no table that can be read; give {', '.join(readers)}")
    size = path.stat().st_size
    if not size:
        raise ValueError(f"{path} is empty; it must hold the columns file_name and text")
    _check_bytes(path, size)
    return readers[path.suffix.lower()](path, only)


def open_text(path: Path) -> IO[str]:
    """UTF-8, where bytes that are no UTF-8 become lone surrogates, so that they spoil their row
    only; ValueError for UTF-16, as spreadsheets save it."""
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise ValueError(f"{path} is in UTF-16; save it as UTF-8")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _csv(path: Path, only: Collection[str] | None) -> Table:
    lines = _csv_lines(path)
    _, columns = next(lines, (0, []))
    return Table(columns, (_csv_row(f"{path.name} line {n}", columns, one) for n, one in lines))


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    with open_text(path) as file:
        reader = csv.reader(file, strict=True)
        try:
            yield from ((reader.line_num, cells) for cells in reader if cells)
        except csv.Error as error:
            hint = 'quote a text that holds commas, quotes or line ends, and double its quotes: ""'
            if "field larger" in str(error):
                hint = "shorten the text of that line, or close a quote that is open before it"
            raise ValueError(
                f"{path} cannot be read on from line {reader.line_num}: {error}; {hint}"
            ) from error


def _csv_row(place: str, columns: list[str], cells: list[str]) -> TableRow | Rejection:
    if len(cells) == len(columns):
        return TableRow(place, dict(zip(columns, cells, strict=True)))
    fault = f"has {len(cells)} cells instead of {len(columns)}"
    return left_out(place, Reason.BAD_ROW, fault, hint="quote a text that holds commas")


def _json_lines(path: Path, only: Collection[str] | None) -> Table:
    columns: dict[str, None] = {}  # any row may have one more
    for row in _json_rows(path):
        if isinstance(row, TableRow):
            columns.update(dict.fromkeys(row.cells))
    return Table(list(columns), _json_rows(path))


def _json_rows(path: Path) -> Iterator[TableRow | Rejection]:
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                place = f"{path.name} line {number}"
                cells = json_object(line, place)
                yield cells if isinstance(cells, Rejection) else TableRow(place, cells)


def json_object(text: str | bytes, place: str, *, what: str = "") -> dict[str, object] | Rejection:
    """The object that `text` is; `what` stands before what is wrong with it."""
    hint = 'write one object in UTF-8: {"text": ...}'
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        fault = f"{what}is no JSON ({' '.join(str(error).split())})"
        return left_out(place, Reason.BAD_ROW, fault, hint=hint)
    if isinstance(found, dict):
        return found
    fault = f"{what}holds a {type(found).__name__}, not an object"
    return left_out(place, Reason.BAD_ROW, fault, hint=hint)


def _parquet(path: Path, only: Collection[str] | None) -> Table:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(
            f"{path} is a Parquet table and pyarrow is not installed: "
            "pip install 'mmdiff[parquet]', or save the table as csv or jsonl"
        ) from None

    def rows() -> Iterator[TableRow | Rejection]:
        number = unpacked = 0
        try:
            with ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=1024, columns=wanted):
                    unpacked += batch.nbytes  # repeated values take no room in the file
                    _check_bytes(path, unpacked)
                    for cells in zip(*batch.columns, strict=True):
                        number += 1
                        yield _parquet_row(f"{path.name} row {number}", wanted, cells)
        except (pyarrow.ArrowException, OSError) as error:
            raise damaged(error) from error

    def damaged(error: Exception) -> ValueError:
        return ValueError(f"{path} is damaged or no Parquet table: {error}")

    try:
        with ParquetFile(path) as file:
            columns: list[str] = list(file.schema_arrow.names)
            num_rows = file.metadata.num_rows
            groups = map(file.metadata.row_group, range(file.num_row_groups))
            unpacked = sum(group.total_byte_size for group in groups)
    except (pyarrow.ArrowException, OSError) as error:
        raise damaged(error) from error
    _check_bytes(path, unpacked)
    if num_rows > MOST_CLIPS:
        raise ValueError(f"{path} has {num_rows:,} rows; a table may have {MOST_CLIPS:,}")
    wanted = columns if only is None else [name for name in columns if name in only]
    return Table(columns, rows())


def _parquet_row(place: str, columns: Sequence[str], cells: Sequence[Any]) -> TableRow | Rejection:
    """A date that Python cannot hold, and text that is no UTF-8, spoil their row only."""
    try:
        values = [cell.as_py() for cell in cells]
    except (ValueError, OverflowError) as error:
        return left_out(place, Reason.BAD_ROW, f"cannot be read ({error})")
    return TableRow(place, dict(zip(columns, values, strict=True)))


def _check_bytes(path: Path, size: int) -> None:
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"{path} unpacks to {size:,} bytes; a table may have {MAX_TABLE_BYTES:,}")
