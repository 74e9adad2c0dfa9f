"""The table of a folder of clips: one row per clip, in the columns that VideoFolder and
AudioFolder of Hugging Face's datasets read."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mmdiff.data.sources.list_fault import list_fault
from mmdiff.data.sources.media_span import MediaSpan, read_span
from mmdiff.data.sources.table_formats import read_columns, read_rows
from mmdiff.data.sources.table_row import TableRow
from mmdiff.media.rejection import Reason, Rejection

TEXT_COLUMNS = ("text", "caption", "prompt")
DIGEST_COLUMNS = ("sha256", "audio_sha256")
COLUMNS = ("file_name", *TEXT_COLUMNS, "audio_file_name", "start", "end", *DIGEST_COLUMNS)
DIGEST = re.compile("[0-9a-f]{64}")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MetadataRow:
    """What one row says, its caption as it was found.

    file_name         the media file, relative to the folder of the table
    caption           text; anything else is for `check_caption` to tell
    audio_file_name   sound given apart, or None
    span              the stretch of the file, or why there is none
    sha256            of the media file and of the sound given apart, or None: others are refused
    """

    file_name: str
    caption: object
    audio_file_name: str | None
    span: MediaSpan | Rejection
    sha256: str | None = None
    audio_sha256: str | None = None


def read_metadata(path: Path) -> Iterator[MetadataRow | Rejection]:
    """The rows of metadata.csv, metadata.jsonl or metadata.parquet, in order.

    Raises ValueError for a table without rows, without `file_name` or without exactly one of
    text, caption and prompt; for a column whose name is nearly one of these; and for a file that
    is no table. Other columns are left alone, and logged.
    """
    text_column = _text_column(path, read_columns(path))
    is_empty = True
    for row in read_rows(path, COLUMNS):
        is_empty = False
        yield row if isinstance(row, Rejection) else _read_row(row, text_column)
    if is_empty:
        raise ValueError(f"{path} has columns and no rows; give one row per clip")


def _text_column(path: Path, columns: Sequence[str]) -> str:
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise ValueError(f"{path} has the column {', '.join(map(repr, twice))} more than once")
    unknown = [column for column in columns if column not in COLUMNS]
    meant = {column: near for column in unknown if (near := _nearest(column, columns))}
    texts = [column for column in TEXT_COLUMNS if column in columns]
    faults = [f"it has no column {'file_name'!r}"] if "file_name" not in columns else []
    faults += ["it has no column 'text' (or 'caption', 'prompt')"] if not texts else []
    if len(texts) > 1:
        faults.append(f"it has {' and '.join(map(repr, texts))}: keep the one to train on")
    faults += [f"{column!r} is unknown: did you mean {near!r}?" for column, near in meant.items()]
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
    names = [row.cells.get(column) for column in ("file_name", "audio_file_name")]
    for column, name in zip(("file_name", "audio_file_name"), names, strict=True):
        if name is not None and not isinstance(name, str):
            fault = f"has a {column} of type {type(name).__name__}"
            return list_fault(row.place, Reason.BAD_ROW, fault, cure="give the name as text")
    file_name, audio_file_name = (str(name or "").strip() for name in names)
    if not file_name:
        return list_fault(row.place, Reason.BAD_ROW, "has no file_name", cure="name the file")
    digests = [str(row.cells.get(column) or "").strip().lower() for column in DIGEST_COLUMNS]
    if any(digest and not DIGEST.fullmatch(digest) for digest in digests):
        cure = "give 64 hexadecimal digits, or leave it empty"
        return list_fault(row.place, Reason.BAD_ROW, "has a sha256 that is none", cure=cure)
    return MetadataRow(
        file_name,
        row.cells.get(text_column),
        audio_file_name or None,
        read_span(row.cells.get("start"), row.cells.get("end"), file=file_name),
        *(digest or None for digest in digests),
    )
