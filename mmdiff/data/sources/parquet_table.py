"""Parquet tables as rows of cells. pyarrow is an extra: it is loaded when such a table is read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mmdiff.data.sources.table_row import MAX_TABLE_BYTES, Rows, TableRow

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

ROWS_AT_ONCE = 1024


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns; ValueError without pyarrow, for a damaged or a too large table."""
    with _opened(path) as file:
        return list(file.schema_arrow.names)


def parquet_rows(path: Path) -> Rows:
    """Rows in order, some at a time, so that memory does not grow with the table."""
    with _opened(path) as file:
        number = 0
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
            for cells in batch.to_pylist():
                number += 1
                yield TableRow(f"{path.name} row {number}", MappingProxyType(cells))


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
            unpacked = sum(group.total_byte_size for group in groups)
            if unpacked > MAX_TABLE_BYTES:
                raise ValueError(
                    f"{path} unpacks to {unpacked:,} bytes; a table may have {MAX_TABLE_BYTES:,}"
                )
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is damaged or no Parquet table: {error}") from error
