"""Tables on disk as rows of cells: CSV, JSON lines, Parquet. One row is read at a time."""

import codecs
import csv
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mmdiff.data.sources.listing import left_out
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection

TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")
TABLE_NAMES = tuple(f"metadata{suffix}" for suffix in TABLE_SUFFIXES)


@dataclass(frozen=True)
class TableRow:
    """where: "metadata.csv line 7"; cells: values by column, of the types that the format has"""

    where: str
    cells: Mapping[str, object]


@dataclass(frozen=True)
class Table:
    """rows: in order, to be read once; a row that cannot be read is a rejection. They raise
    ValueError where nothing behind a row can be read either: an open quote, a damaged file."""

    columns: list[str]
    rows: Iterator[TableRow | Rejection]


def read_table(path: Path, only: Collection[str] | None = None) -> Table:
    """A table of any format; ValueError if the file is none, or empty.

    only  columns whose cells are needed; others may hold what Python cannot
    """
    readers = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path} is no table that can be read; give {', '.join(readers)}")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty; it must hold the columns file_name and text")
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

    def rows() -> Iterator[TableRow | Rejection]:
        for number, cells in lines:
            where = f"{path.name} line {number}"
            if len(cells) == len(columns):
                yield TableRow(where, dict(zip(columns, cells, strict=True)))
            else:
                fault = f"has {len(cells)} cells instead of {len(columns)}"
                hint = "quote a text that holds commas"
                yield left_out(where, Reason.BAD_ROW, fault, hint=hint).rejection

    return Table(columns, rows())


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    with open_text(path) as file:
        # strict: a stray quote would take the rows up to the next one into its cell
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


def _json_lines(path: Path, only: Collection[str] | None) -> Table:
    rows = (row for row in _json_rows(path) if isinstance(row, TableRow))
    columns = dict.fromkeys(column for row in rows for column in row.cells)  # any may have more
    return Table(list(columns), _json_rows(path))


def _json_rows(path: Path) -> Iterator[TableRow | Rejection]:
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path.name} line {number}"
            try:
                if line.strip():
                    yield TableRow(where, json_object(line, where))
            except RejectedMedia as error:
                yield error.rejection


def json_object(text: str | bytes, where: str, *, what: str = "") -> dict[str, object]:
    """The object that `text` is; RejectedMedia, where `what` stands before the fault, for what is
    none."""
    try:
        found = json.loads(text)
        fault = f"holds a {type(found).__name__}, not an object"
    except (ValueError, RecursionError) as error:
        found, fault = None, f"is no JSON ({' '.join(str(error).split())})"
    if not isinstance(found, dict):
        hint = 'write one object in UTF-8: {"text": ...}'
        raise left_out(where, Reason.BAD_ROW, f"{what}{fault}", hint=hint)
    return found


def _parquet(path: Path, only: Collection[str] | None) -> Table:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(
            f"{path} is a Parquet table and pyarrow is not installed: "
            "pip install 'mmdiff[parquet]', or save the table as csv or jsonl"
        ) from None

    with _damage_named(path, pyarrow.ArrowException), ParquetFile(path) as file:
        columns: list[str] = list(file.schema_arrow.names)
    wanted = columns if only is None else [name for name in columns if name in only]

    def rows() -> Iterator[TableRow | Rejection]:
        number = 0
        with _damage_named(path, pyarrow.ArrowException), ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024, columns=wanted):
                # cell by cell: one that Python cannot hold would end the table otherwise
                for cells in zip(*batch.columns, strict=True):
                    number += 1
                    yield _parquet_row(f"{path.name} row {number}", wanted, cells)

    return Table(columns, rows())


@contextmanager
def _damage_named(path: Path, error_type: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (error_type, OSError) as error:
        raise ValueError(f"{path} is damaged or no Parquet table: {error}") from error


def _parquet_row(where: str, columns: Sequence[str], cells: Sequence[Any]) -> TableRow | Rejection:
    """A date that Python cannot hold, and text that is no UTF-8, spoil their row only."""
    try:
        values = [cell.as_py() for cell in cells]
    except (ValueError, OverflowError) as error:
        return left_out(where, Reason.BAD_ROW, f"cannot be read ({error})").rejection
    return TableRow(where, dict(zip(columns, values, strict=True)))
