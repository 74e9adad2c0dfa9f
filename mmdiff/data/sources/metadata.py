"""The table of a folder of clips: one row per clip, in the columns that VideoFolder and
AudioFolder of Hugging Face's datasets read."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmdiff.data.sources.listing import left_out
from mmdiff.data.sources.table import TableRow, read_table
from mmdiff.media.rejection import Reason, Rejection

TEXT_COLUMNS = ("text", "caption", "prompt")
DIGEST_COLUMNS = ("sha256", "audio_sha256")
COLUMNS = ("file_name", *TEXT_COLUMNS, "audio_file_name", "start", "end", *DIGEST_COLUMNS)
DIGEST = re.compile("[0-9a-f]{64}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetadataRow:
    """What one row says; caption, start and end as they were found, of any type.

    file_name, audio_file_name   relative to the folder of the table; the sound given apart, or None
    sha256, audio_sha256         of the two files, or None
    """

    file_name: str
    caption: object
    audio_file_name: str | None
    start: object
    end: object
    sha256: str | None
    audio_sha256: str | None


def read_metadata(path: Path) -> Iterator[MetadataRow | Rejection]:
    """The rows of metadata.csv, metadata.jsonl or metadata.parquet, in order.

    Raises ValueError for a table without rows, without `file_name` or without exactly one of
    text, caption and prompt; for a column whose name is nearly one of these; and for a file that
    is no table. Other columns are left alone, and logged.
    """
    table = read_table(path, only=COLUMNS)
    text_column = _text_column(path, table.columns)
    is_empty = True
    for row in table.rows:
        is_empty = False
        yield row if isinstance(row, Rejection) else _read_row(row, text_column)
    if is_empty:
        raise ValueError(f"{path} has columns and no rows; give one row per clip")


def _text_column(path: Path, columns: Sequence[str]) -> str:
    unknown = [column for column in columns if column not in COLUMNS]
    texts = [column for column in TEXT_COLUMNS if column in columns]
    faults = [f"it has no column {'file_name'!r}"] if "file_name" not in columns else []
    faults += ["it has no column 'text' (or 'caption', 'prompt')"] if not texts else []
    if len(texts) > 1:
        faults.append(f"it has {' and '.join(map(repr, texts))}: keep the one to train on")
    twice = sorted({column for column in columns if columns.count(column) > 1})
    faults += [f"it has the column {column!r} more than once" for column in twice]
    meant = ((column, _nearest(column, columns)) for column in unknown)
    faults += [f"{column!r} is unknown: did you mean {near!r}?" for column, near in meant if near]
    if any(mark in column for column in columns for mark in ";\t|"):
        faults.append("its columns must be separated by commas")
    if faults:
        raise ValueError(
            f"{path} cannot be read: {'; '.join(faults)}. "
            f"Found: {', '.join(map(repr, columns)) or 'nothing'}. Possible: {', '.join(COLUMNS)}"
        )
    if unknown:
        logger.warning("%s: columns not used: %s", path, ", ".join(map(repr, unknown)))
    return texts[0]


def _nearest(column: str, columns: Sequence[str]) -> str | None:
    """The known column that is missing and that `column` most resembles."""
    missing = [known for known in COLUMNS if known not in columns]
    plain = column.strip().lower().replace(" ", "_").replace("-", "_").removesuffix("_seconds")
    return next(iter(get_close_matches(plain, missing, n=1, cutoff=0.75)), None)


def _read_row(row: TableRow, text_column: str) -> MetadataRow | Rejection:
    def bad(fault: str, hint: str) -> Rejection:
        return left_out(row.place, Reason.BAD_ROW, fault, hint=hint)

    cells: dict[str, Any] = {name: row.cells.get(name) or "" for name in COLUMNS}
    for column in ("file_name", "audio_file_name"):
        if not isinstance(cells[column], str):
            fault = f"has a {column} of type {type(cells[column]).__name__}"
            return bad(fault, "give the name as text")
    file_name, audio = cells["file_name"].strip(), cells["audio_file_name"].strip()
    if not file_name:
        return bad("has no file_name", "name the file")
    digests = [str(cells[column]).strip().lower() for column in DIGEST_COLUMNS]
    if any(digest and not DIGEST.fullmatch(digest) for digest in digests):
        return bad("has a sha256 that is none", "give 64 hexadecimal digits, or leave it empty")
    span = row.cells.get("start"), row.cells.get("end")
    caption = row.cells.get(text_column)
    return MetadataRow(file_name, caption, audio or None, *span, *(one or None for one in digests))
