"""The prompts of a run: one from the command line, a file with one a line, or a table.

A table (.csv, .jsonl) has a column `prompt`, and any of the other settings of a clip, which then
hold for its row alone; an empty cell, and null, leave a setting as the command line has it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdiff.apps.key_kinds import options_of_kind
from mmdiff.apps.signature import described, fits, shown
from mmdiff.values.usage_error import UsageError, nearest

TABLES = (".csv", ".jsonl")


def prompt_rows(
    prompt: str | None, prompts: str | None, *, columns: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """One row a prompt: its text and the settings of its own.

    columns: the settings that a row may have, with their annotations.

    Raises UsageError for an unknown column, a value of another type, or no prompts at all.
    """
    if prompt is None and prompts is not None and Path(prompts).suffix.lower() in TABLES:
        return _read_table(Path(prompts), columns)
    return [{"prompt": text} for text in read_prompts(prompt, prompts)]


def read_prompts(prompt: str | None, prompts: str | None) -> list[str]:
    """The prompts asked for; UsageError when none, both, or an unreadable file was given."""
    if prompt is not None and prompts is not None:
        raise UsageError("prompt and prompts are both set", cure="give one of them")
    if prompt is not None:
        return [_text(prompt, "prompt")]
    if prompts is None:
        raise UsageError(
            "there is no prompt",
            belongs="prompt is in conf/generate.yaml",
            cure='prompt="a small red circle bouncing up and down", or prompts=file.txt',
        )
    path = Path(prompts)
    _check_file(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"prompts={path} is not UTF-8 text (byte {error.start})", cure="save it as UTF-8"
        ) from error
    # A line ends at LF or CRLF only: what else Python takes for an end may stand in a prompt.
    lines = [line.strip() for line in text.replace("\r\n", "\n").split("\n")]
    texts = [line for line in lines if line and not line.startswith("#")]
    if not texts:
        raise UsageError(f"prompts={path} holds no prompt", cure="write one prompt a line")
    return texts


def _read_table(path: Path, columns: Mapping[str, Any]) -> list[dict[str, Any]]:
    from mmdiff.data.sources.table import read_table
    from mmdiff.media.rejection import Rejection

    _check_file(path)
    table = read_table(path)
    found = table.columns
    unknown = next((name for name in found if name not in columns or found.count(name) > 1), None)
    if unknown is not None or "prompt" not in found:
        problem = f"has a column {unknown!r}" if unknown is not None else "has no column 'prompt'"
        near = nearest(unknown or "", columns)
        raise UsageError(
            f"prompts={path} {problem}; possible, each once, is {', '.join(columns)}",
            nearest=near,
        )
    rows: list[dict[str, Any]] = []
    for row in table.rows:
        if isinstance(row, Rejection):
            raise UsageError(f"prompts={path}: {row.message}")
        cells = {name: value for name, value in row.cells.items() if value not in (None, "")}
        values = {name: _typed(cell, columns[name]) for name, cell in cells.items()}
        for name, value in values.items():
            if not fits(value, columns[name]):
                kind = described(columns[name])
                raise UsageError(f"{row.where}: {name} is {shown(value)}; possible is {kind}")
            if isinstance(value, str):
                _text(value, f"{name} of {row.where}")
        rows.append({"prompt": "", **values})
    if not rows:
        raise UsageError(f"prompts={path} holds no prompt", cure="write one prompt a row")
    return rows


def _typed(cell: object, kind: Any) -> object:
    """A cell of CSV, which is text, as the type that its column has."""
    if not isinstance(cell, str) or fits(cell, kind):
        return cell
    try:
        return json.loads(cell.lower() if bool in options_of_kind(kind) else cell)
    except ValueError:
        return cell


def _check_file(path: Path) -> None:
    if not path.is_file():
        near = nearest(path.name, [p.name for p in _files_beside(path)])
        raise UsageError(
            f"prompts={path} is not a file",
            got=f"prompts={path}",
            nearest=str(path.with_name(near)) if near else "",
            cure="a text file with one prompt a line, or a table: .csv, .jsonl",
        )


def _files_beside(path: Path) -> list[Path]:
    return list(path.parent.iterdir()) if path.parent.is_dir() else []


def _text(prompt: str, name: str) -> str:
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{name} is not valid text (character {error.start})", cure="give it as UTF-8"
        ) from error
    return prompt
