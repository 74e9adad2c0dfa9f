"""Names of shards as a user writes them to the shards there are: braces, globs, URLs."""

import glob
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

import fsspec.core

MAX_SHARDS = 100_000
BRACES = re.compile(r"\{([^{}]*)\}")
COUNTED = re.compile(r"(\d+)\.\.(\d+)")


def shard_paths(urls: str | Sequence[str]) -> list[str]:
    """Local absolute paths and fsspec URLs, in the order given; those of a glob sorted.

    `{000..009}` counts, with the zeros of its first number, and `{a,b}` lists; several braces are
    combined. Raises ValueError for a pattern that matches nothing, a shard that is not there or is
    named twice, a protocol that fsspec does not know, and `pipe:` (no shell is run).
    """
    patterns = [urls] if isinstance(urls, str) else list(urls)
    names = [name for pattern in patterns for name in expand_braces(pattern)]
    if not names:
        raise ValueError("urls is empty; give the tar shards, as clips-{000..009}.tar")
    paths = [path for name in names for path in _found(name)]
    twice = sorted({path for path in paths if paths.count(path) > 1}) if len(paths) < 1000 else []
    if twice or len(set(paths)) < len(paths):
        raise ValueError(f"urls names shards twice: {', '.join(twice[:3]) or 'see the patterns'}")
    return paths


def expand_braces(pattern: str) -> list[str]:
    """Every name that a pattern with braces stands for; ValueError for too many."""
    parts = BRACES.split(pattern)
    choices = [[part] if i % 2 == 0 else _choices(part) for i, part in enumerate(parts)]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MAX_SHARDS:
        raise ValueError(f"{pattern!r} stands for {count:,} shards; at most {MAX_SHARDS:,} go")
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _choices(inside: str) -> list[str]:
    counted = COUNTED.fullmatch(inside)
    if counted is None:
        return inside.split(",")
    first, last = counted.groups()
    if int(last) < int(first) or int(last) - int(first) >= MAX_SHARDS:
        raise ValueError(
            f"{{{inside}}} counts from {first} to {last}; it must count upwards, over at most "
            f"{MAX_SHARDS:,} shards"
        )
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]


def _found(name: str) -> list[str]:
    if name.startswith("pipe:"):
        raise ValueError(f"{name!r} would run a command; give a path or a URL that fsspec knows")
    if "://" in name:
        return _found_remote(name)
    path = Path(name).expanduser().absolute()
    if path.is_file():
        return [str(path)]
    matches = sorted(match for match in glob.glob(str(path)) if Path(match).is_file())
    if not matches:
        raise ValueError(f"urls names {name!r}: there is no such file under {Path.cwd()}")
    return matches


def _found_remote(name: str) -> list[str]:
    try:
        system, path = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:
        raise ValueError(f"urls names {name!r}, which cannot be opened: {error}") from None
    if not glob.has_magic(path):
        if not system.isfile(path):
            raise ValueError(f"urls names {name!r}: there is no such file")
        return [name]
    matches = sorted(str(match) for match in system.glob(path))
    if not matches:
        raise ValueError(f"urls names {name!r}: no file matches")
    return [system.unstrip_protocol(match) for match in matches]
