"""The table of a folder of clips: one row per clip, in the columns that VideoFolder and
AudioFolder of Hugging Face's datasets read."""

import logging
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path

from mmdiff.data.sources.listing import left_out
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.safe_path import SafePath
from mmdiff.data.sources.table import TableRow, read_table
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection

TEXT_COLUMNS = ("text", "caption", "prompt")
DIGEST_COLUMNS = ("sha256", "audio_sha256")
COLUMNS = ("file_name", *TEXT_COLUMNS, "audio_file_name", "start", "end", *DIGEST_COLUMNS)
DIGEST = re.compile("([0-9a-f]{64})?")

logger = logging.getLogger(__name__)


def add_rows(path: Path, builder: ListingBuilder, path_of: Callable[[str], SafePath]) -> None:
    """The clips of metadata.csv, metadata.jsonl or metadata.parquet, in order; `path_of` says which
    file a name in it stands for.

    Raises ValueError for a table without rows, without `file_name` or without exactly one of
    text, caption and prompt; for a column whose name is nearly one of these; and for a file that
    is no table. Other columns are left alone, and logged.
    """
    table = read_table(path, only=COLUMNS)
    text_column = _text_column(path, table.columns)
    is_empty = True
    for row in table.rows:
        is_empty = False
        with builder.rejecting():  # a bad row costs its clip only
            if isinstance(row, Rejection):
                raise RejectedMedia(row)
            _add_row(row, text_column, builder, path_of)
    if is_empty:
        raise ValueError(f"{path} has columns and no rows; give one row per clip")


def _add_row(
    row: TableRow, text_column: str, builder: ListingBuilder, path_of: Callable[[str], SafePath]
) -> None:
    texts = {}
    for column in ("file_name", "audio_file_name", *DIGEST_COLUMNS):
        cell = row.cells.get(column)
        if cell is not None and not isinstance(cell, str):
            fault = f"has a {column} of type {type(cell).__name__}"
            raise left_out(row.where, Reason.BAD_ROW, fault, hint="give it as text")
        texts[column] = (cell or "").strip()
    name, audio_name, *digests = texts.values()
    sha256, audio_sha256 = (digest.lower() for digest in digests)
    if not name:
        raise left_out(row.where, Reason.BAD_ROW, "has no file_name", hint="name the file")
    if not (DIGEST.fullmatch(sha256) and DIGEST.fullmatch(audio_sha256)):
        hint = "give 64 hexadecimal digits, or leave it empty"
        raise left_out(row.where, Reason.BAD_ROW, "has a sha256 that is none", hint=hint)
    media = path_of(name)
    try:
        audio = path_of(audio_name).path if audio_name else None
    except RejectedMedia as error:
        fault = f"is left out for its sound: {error}"
        raise left_out(media.key, error.rejection.reason, fault) from error
    builder.add(
        media.key,
        media.path,
        caption=row.cells.get(text_column),
        audio=audio,
        start=row.cells.get("start"),
        end=row.cells.get("end"),
        sha256=sha256 or None,
        audio_sha256=audio_sha256 or None,
    )


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
    # as spreadsheets and other tools write them: "File Name", "start_seconds"
    plain = column.strip().lower().replace(" ", "_").replace("-", "_").removesuffix("_seconds")
    return next(iter(get_close_matches(plain, missing, n=1, cutoff=0.75)), None)
