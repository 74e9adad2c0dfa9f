"""Digests of files: what tells that a file is, to the last bit, the one that was written."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Of the content of a file, in hexadecimal digits."""
    return _digest(path).hex()


def sha256_of_all(paths: Iterable[Path]) -> str:
    """Of the digests of several files, in their order; their names do not matter."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(_digest(path))
    return whole.hexdigest()


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
