"""The header of a safetensors file, bounded before anybody builds anything from it.

The library behind `safe_open` refuses overlapping, short and overflowing tensors. It takes a name
that is there twice, and needs a minute for a header of a million names; both are refused here.
"""

import json
from pathlib import Path
from typing import Any

LARGEST_HEADER = 8 * 2**20  # bytes; the largest models that are released need less than one MiB
MOST_TENSORS = 20_000
_LENGTH_BYTES = 8


def check_header(path: Path) -> None:
    """Raise ValueError, which says what is wrong, unless the header of `path` is of sane size,
    readable JSON, and names no tensor twice; OSError where the file cannot be read."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
            raise ValueError(
                f"it has {size} bytes, fewer than its header claims: it is cut off, or no "
                "safetensors file"
            )
        if length > LARGEST_HEADER:
            raise ValueError(f"its header has {length} bytes; at most {LARGEST_HEADER} are read")
        content = file.read(length)
    try:
        header = json.loads(content, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    if len(header) > MOST_TENSORS:
        raise ValueError(f"it holds {len(header)} tensors; at most {MOST_TENSORS} are read")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for name, value in pairs:
        if name in names:
            raise ValueError(f"its header names {name!r} twice")
        names[name] = value
    return names
