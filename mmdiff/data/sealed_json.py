"""JSON files that carry the digest of what they hold: a flipped bit is seen, not believed."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from mmdiff.media.atomic import atomic_write, past_stale

SEAL = "digest"


class StaleCache(ValueError):  # noqa: N818
    """A cache made by other components, from other data, or damaged; the message says which, and
    the cure."""


def digest_of(*parts: Any) -> str:
    """sha256 of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def write_sealed(path: Path, document: dict[str, Any]) -> None:
    """Write the document whole or not at all, with its digest in it."""
    sealed = {**document, SEAL: digest_of(document)}
    with atomic_write(path) as temporary:
        Path(temporary).write_text(json.dumps(sealed, indent=1), encoding="utf-8")


def read_sealed(path: Path, *, schema: int | None = None, cure: str) -> dict[str, Any]:
    """What `write_sealed` wrote, without the digest.

    schema  that the document must have; None: it has none

    Raises StaleCache, which ends with the cure, for another schema and for a damaged file.
    """
    try:
        document = json.loads(past_stale(partial(path.read_text, encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise StaleCache(f"{path} is damaged ({error}); {cure}") from error
    found = document.pop(SEAL, None) if isinstance(document, dict) else None
    is_intact = found is not None and found == digest_of(document)
    is_older = isinstance(document, dict) and found is None and "schema" in document
    if schema is not None and (is_intact or is_older) and document.get("schema") != schema:
        text = f"has schema {document.get('schema')}, this version reads {schema}"
        raise StaleCache(f"{path.parent} {text}; {cure}")
    if not is_intact:
        raise StaleCache(f"{path} is damaged: it is not what was written; {cure}")
    return dict(document)
