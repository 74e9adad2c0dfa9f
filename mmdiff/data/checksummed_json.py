"""JSON files that carry the digest of what they hold: damage is seen, not believed."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from mmdiff.media.atomic import atomic_write, past_stale


class StaleCache(ValueError):  # noqa: N818
    """A cache made by other components, from other data, or damaged; the message says which, and
    what to do."""


def digest_of(*parts: Any) -> str:
    """sha256 of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def write_checksummed(path: Path, document: dict[str, Any]) -> None:
    """Write the document whole or not at all, with its digest in it."""
    checksummed = {**document, "digest": digest_of(document)}
    with atomic_write(path) as temporary:
        Path(temporary).write_text(json.dumps(checksummed, indent=1), encoding="utf-8")


def read_checksummed(path: Path, *, hint: str, schema: int | None = None) -> dict[str, Any]:
    """What `write_checksummed` wrote, without the digest.

    schema  that the document must have, if any

    Raises StaleCache, which ends with the hint, for another schema and for a damaged file.
    """
    try:
        document = json.loads(past_stale(partial(path.read_text, encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise StaleCache(f"{path} is damaged ({error}); {hint}") from error
    digest = document.pop("digest", None) if isinstance(document, dict) else None
    if digest is None or digest != digest_of(document):
        raise StaleCache(f"{path} is damaged: it is not what was written; {hint}")
    if schema is not None and document.get("schema") != schema:
        text = f"has schema {document.get('schema')}, this version reads {schema}"
        raise StaleCache(f"{path.parent} {text}; {hint}")
    return dict(document)
