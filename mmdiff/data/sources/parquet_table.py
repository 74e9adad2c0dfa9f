"""Parquet tables as rows of cells. pyarrow is an extra: it is loaded when such a table is read."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mmdiff.data.sources.table_row import MAX_TABLE_BYTES, MOST_CLIPS, Rows, TableRow

if TYPE_CHECKING:
    from pyarrow import Array, Scalar
    from pyarrow.parquet import ParquetFile

ROWS_AT_ONCE = 1024


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns; ValueError without pyarrow, for a damaged or a too large table."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def parquet_rows(path: Path, columns: Collection[str]) -> Rows:
    """Rows in order, some at a time, so that memory does not grow with the table; of `columns`
    only, as others may hold what Python cannot."""
    with _opened(path) as file:
        wanted = [name for name in file.schema_arrow.names if name in columns]
        number = unpacked = 0
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=wanted):
            # what the file states is before dictionaries and repeated values are written out
            unpacked += batch.nbytes
            _check_bytes(path, unpacked)
            values = [_cells(column) for column in batch.columns]
            for row in zip(*values, strict=True):
                number += 1
                cells = dict(zip(batch.schema.names, row, strict=True))
                yield TableRow(f"{path.name} row {number}", MappingProxyType(cells))


def _check_bytes(path: Path, unpacked: int) -> None:
    if unpacked > MAX_TABLE_BYTES:
        raise ValueError(
            f"{path} unpacks to {unpacked:,} bytes; a table may have {MAX_TABLE_BYTES:,}"
        )


def _cells(column: "Array") -> list[object]:
    """The values of a column. Bytes that are no UTF-8 become lone surrogates, and a date that
    Python cannot hold a text, so that each spoils its row only."""
    from pyarrow import large_binary, types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (types.is_string(column.type) or types.is_large_string(column.type)):
        return [_plain(cell) for cell in column]
    raw = column.cast(large_binary()).to_pylist()
    return [None if one is None else one.decode("utf-8", "surrogateescape") for one in raw]


def _plain(cell: "Scalar") -> object:
    try:
        value: object = cell.as_py()
        return value
    except (ValueError, OverflowError):
        return f"a {cell.type} that Python cannot hold"


@contextmanager
def _opened(path: Path) -> Iterator["ParquetFile"]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(
            f"{path} is a Parquet table and pyarrow is not installed: "
            "pip install 'mmdiff[parquet]', or save the table as csv or jsonl"
        ) from None
    try:
        with ParquetFile(path) as file:
            groups = (file.metadata.row_group(i) for i in range(file.num_row_groups))
            _check_bytes(path, sum(group.total_byte_size for group in groups))
            if file.metadata.num_rows > MOST_CLIPS:
                rows = f"{file.metadata.num_rows:,} rows"
                raise ValueError(f"{path} has {rows}; a table may have {MOST_CLIPS:,}")
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is damaged or no Parquet table: {error}") from error
