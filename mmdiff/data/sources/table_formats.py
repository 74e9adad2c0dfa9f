"""Tables on disk as rows of cells: CSV, JSON lines, Parquet. One row is read at a time."""

import csv
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from types import MappingProxyType

from mmdiff.data.sources.caption_check import WIDE_MARKS
from mmdiff.data.sources.list_fault import list_fault
from mmdiff.data.sources.parquet_table import parquet_columns, parquet_rows
from mmdiff.data.sources.table_row import MAX_TABLE_BYTES, Rows, TableRow
from mmdiff.media.rejection import Reason

TABLE_SUFFIXES = (".csv", ".jsonl", ".parquet")
TABLE_NAMES = tuple(f"metadata{suffix}" for suffix in TABLE_SUFFIXES)


def read_columns(path: Path) -> list[str]:
    """The columns of a table; ValueError if the file is no table, too large or empty."""
    size = path.stat().st_size
    if not size:
        raise ValueError(f"{path} is empty; it must hold the columns file_name and text")
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"{path} has {size:,} bytes; a table may have {MAX_TABLE_BYTES:,}")
    readers = {".csv": _csv_columns, ".jsonl": _jsonl_columns, ".parquet": parquet_columns}
    return readers[_format(path)](path)


def read_rows(path: Path, columns: Collection[str]) -> Rows:
    """The rows of a table in order, with `columns` at least; a row that cannot be read is a
    rejection.

    ValueError where nothing behind a place can be read either: an open quote, a damaged file.
    """
    if _format(path) == ".parquet":
        return parquet_rows(path, columns)
    return _csv_rows(path) if _format(path) == ".csv" else _jsonl_rows(path)


def _format(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise ValueError(f"{path} is no table that can be read; give {', '.join(TABLE_SUFFIXES)}")
    return suffix


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells. Bytes that are no UTF-8 become lone surrogates, so that they spoil
    their row only."""
    _refuse_wide(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except csv.Error as error:
            cure = (
                "quote a text that holds commas, quotes or line ends, and double the quotes in it: "
                '"say ""hello"""'
            )
            if "field larger" in str(error):
                cure = "shorten the text of that line, or close a quote that is open before it"
            raise ValueError(
                f"{path} cannot be read on from line {reader.line_num}: {error}; {cure}"
            ) from error


def _csv_columns(path: Path) -> list[str]:
    return next((cells for _, cells in _csv_lines(path)), [])


def _csv_rows(path: Path) -> Rows:
    lines = _csv_lines(path)
    _, columns = next(lines)
    for number, cells in lines:
        place = f"{path.name} line {number}"
        if len(cells) == len(columns):
            yield TableRow(place, MappingProxyType(dict(zip(columns, cells, strict=True))))
        else:
            fault = f"has {len(cells)} cells instead of {len(columns)}"
            cure = "quote a text that holds commas"
            yield list_fault(place, Reason.BAD_ROW, fault, cure=cure)


def _jsonl_columns(path: Path) -> list[str]:
    columns: dict[str, None] = {}
    for row in _jsonl_rows(path):
        if isinstance(row, TableRow):
            columns.update(dict.fromkeys(row.cells))
    return list(columns)


def _jsonl_rows(path: Path) -> Rows:
    _refuse_wide(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path.name} line {number}"
            try:
                cells = json.loads(line)
            except (ValueError, RecursionError) as error:
                fault = f"is no JSON ({error})"
                yield list_fault(place, Reason.BAD_ROW, fault, cure="write one object a line")
                continue
            if isinstance(cells, dict):
                yield TableRow(place, MappingProxyType(cells))
            else:
                fault = f"holds a {type(cells).__name__}, not an object"
                cure = 'write {"file_name": ..., "text": ...}'
                yield list_fault(place, Reason.BAD_ROW, fault, cure=cure)


def _refuse_wide(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) in WIDE_MARKS:
            raise ValueError(f"{path} is in UTF-16; save it as UTF-8")
