"""The prompts of a run: one from the command line, a file with one a line, or a table.

A table (.csv, .jsonl) has a column `prompt`, and any of the other settings of a clip, which then
hold for its row alone; an empty cell, and null, leave a setting as the command line has it.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdiff.apps.key_types import options_of_type
from mmdiff.apps.schema import check_value, fits
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError, nearest

TABLES = (".csv", ".jsonl")
_SCALARS = {str, int, float, FilePath, type(None)}
_OF_THE_RUN = ("prompts", "checkpoint", "device", "batch_size", "output_dir")


def columns_of_prompts(keys: Mapping[str, Any]) -> dict[str, Any]:
    """What a row of a table of prompts may say: each scalar key that is about one clip.

    keys: the root keys of `mmdiff generate` with their annotations.
    """
    scalars = {name: one for name, one in keys.items() if {*options_of_type(one)} <= _SCALARS}
    return {name: one for name, one in scalars.items() if name not in _OF_THE_RUN}


def prompt_rows(
    prompt: str | None, prompts: str | None, *, columns: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One row a prompt: its text and the settings of its own.

    columns: the settings that a row may have, with their annotations.

    Raises UsageError where none, both, or an unreadable file was given; for an unknown column and
    a value of another type.
    """
    if prompt is not None and prompts is not None:
        raise UsageError("prompt and prompts are both set", hint="give one of them")
    if prompt is not None:
        return [{"prompt": _text(prompt, "prompt")}]
    if prompts is None:
        raise UsageError(
            "there is no prompt",
            hint='prompt="a small red circle bouncing up and down", or prompts=file.txt',
        )
    path = Path(prompts)
    if not path.is_file():
        beside = list(path.parent.iterdir()) if path.parent.is_dir() else []
        near = nearest(path.name, [p.name for p in beside])
        raise UsageError(
            f"prompts={path} is not a file",
            nearest=f"prompts={path.with_name(near)}" if near else "",
            hint="a text file with one prompt a line, or a table: .csv, .jsonl",
        )
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"prompts={path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8"
        ) from error
    # A line ends at LF or CRLF only: what else Python takes for an end may stand in a prompt.
    lines = text.replace("\r\n", "\n").split("\n")
    if path.suffix.lower() in TABLES:
        rows = list(_table_rows(path, lines, columns))
    else:
        stripped = (line.strip() for line in lines)
        rows = [{"prompt": line} for line in stripped if line and not line.startswith("#")]
    if not rows:
        raise UsageError(f"prompts={path} holds no prompt", hint="write one prompt a line")
    return rows


def _table_rows(
    path: Path, lines: list[str], columns: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    cells = _csv_cells if path.suffix.lower() == ".csv" else _json_cells
    for where, row in cells(path, lines):
        for name in row:
            if name not in columns:
                raise UsageError(
                    f"{where} has a column {name!r}; possible is {', '.join(columns)}",
                    nearest=nearest(name, columns),
                )
        if "prompt" not in row:
            raise UsageError(f"{where} has no column 'prompt'")
        values = {
            name: _typed(cell, columns[name])
            for name, cell in row.items()
            if cell not in (None, "")
        }
        for name, value in values.items():
            check_value(f"{where}: {name}", value, columns[name])
            if isinstance(value, str):
                _text(value, f"{where}: {name}")
        yield {"prompt": "", **values}


def _csv_cells(path: Path, lines: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.reader((f"{line}\n" for line in lines if line), strict=True)
    try:
        names = next(reader, [])
        if len({*names}) < len(names):
            raise UsageError(f"prompts={path} names a column twice: {', '.join(names)}")
        for cells in reader:
            where = f"{path.name} line {reader.line_num}"
            if len(cells) != len(names):
                raise UsageError(
                    f"{where} has {len(cells)} cells instead of {len(names)}",
                    hint="quote a text that holds commas",
                )
            yield where, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        where = f"{path.name} line {reader.line_num}"
        raise UsageError(f"{where} cannot be read: {error}") from error


def _json_cells(path: Path, lines: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, 1):
        where = f"{path.name} line {number}"
        try:
            row = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where} is no JSON: {error}") from error
        if not isinstance(row, dict | None):
            raise UsageError(f"{where} is no object", hint='{"prompt": "a ball", "seed": 3}')
        if row is not None:
            yield where, row


def _typed(cell: Any, annotation: Any) -> Any:
    """A cell of CSV, which is text, as the type that its column has."""
    if not isinstance(cell, str) or fits(cell, annotation):
        return cell
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _text(prompt: str, name: str) -> str:
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{name} is not valid text (character {error.start})", hint="give it as UTF-8"
        ) from error
    return prompt
