"""JSON of a model folder, read by the one function that a hostile file cannot hold up or swell."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from mmdiff.values.usage_error import shortened

HINT = "Download or export the checkpoint again."
LARGEST_JSON = 2**22  # bytes of a configuration; the longest released ones have about 2**20
LARGEST_TOKENIZER = 2**26  # bytes of tokenizer.json; 256,000 entries need half of it
MOST_OBJECTS = 3 * 2**18  # lists and objects in one file; Gemma's merges are 515,000 lists
MOST_VALUES = 2**22
LONGEST_MESSAGE = 1200


class CheckpointError(ValueError):
    """A checkpoint that mmdiff refuses to load; it names the file, what is wrong and a hint.

    The message is printable whatever names a file made up: it goes to terminals and logs.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shortened(message, LONGEST_MESSAGE))


def check_file(path: Path, root: Path) -> None:
    """CheckpointError unless `path` is a file or a folder inside `root`, links followed; the hub
    keeps the files of a snapshot as links to the `blobs` beside it."""
    real, root = path.resolve(), root.resolve()
    blobs = [
        above.parent.parent / "blobs"
        for above in (root, *root.parents)
        if above.parent.name == "snapshots"
    ]
    if not (real.is_relative_to(root) or real.parent in blobs):
        raise CheckpointError(
            f"{path} is a link out of {root}, to {real}. Put a copy of the file there instead."
        )
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise CheckpointError(f"{path} is no regular file. Remove it. {HINT}")


def read_json(path: Path, *, root: Path | None = None) -> dict[str, Any]:
    """The JSON object in `path`; CheckpointError if it is missing, damaged or something else.

    root  the folder that links may not lead out of; None: that of the file
    """
    check_file(path, root or path.parent)
    largest = LARGEST_TOKENIZER if path.name in ("tokenizer.json", "vocab.json") else LARGEST_JSON
    try:
        content = parse_json(_read(path, largest))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing. {HINT}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not readable JSON ({error}). {HINT}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a JSON object. {HINT}")
    return content


def _read(path: Path, largest: int) -> bytes:
    # Without O_NONBLOCK, opening a FIFO waits for whoever writes into it.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("no regular file")
        text = file.read(largest + 1)
    if len(text) > largest:
        raise ValueError(f"over {largest} bytes")
    return text


def parse_json(text: bytes, *, most_objects: int = MOST_OBJECTS) -> Any:
    """What `text` says; ValueError for too many values, counted before any is made, for a name that
    is there twice, for NaN, and for what is no JSON."""
    num_objects, num_values = text.count(b"[") + text.count(b"{"), text.count(b",")
    if num_objects > most_objects or num_values > MOST_VALUES:
        raise ValueError(f"it holds {num_objects} lists and objects and {num_values} values")
    try:
        return json.loads(text, parse_constant=_constant, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"it names {twice!r} twice")
    return names


def _constant(name: str) -> float:
    """Schedulers of diffusers save -Infinity, of a bound that is off; nobody saves NaN."""
    if name == "NaN":
        raise ValueError("it holds NaN")
    return float(name)
