"""Clips in tar shards, in the layout of WebDataset: files of one clip share their stem."""

import glob
import itertools
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec.core

from mmdiff.data.sources.listing import Listing, left_out
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.metadata import TEXT_COLUMNS
from mmdiff.data.sources.shard_index import MAX_MEMBERS, TEXT_BYTES, ShardIndex, index_shard
from mmdiff.data.sources.stem_files import MEDIA_SUFFIXES, choose_media, stem_of, suffix_of
from mmdiff.data.sources.table import json_object
from mmdiff.data.sources.tar_member import TarMember
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.values.file_path import FilePath

logger = logging.getLogger(__name__)

MAX_SHARDS = 100_000
BRACES = re.compile(r"\{([^{}]*)\}")
COUNTED = re.compile(r"(\d{1,9})\.\.(\d{1,9})")


class Shards:
    """Tar shards by path, glob, `clips-{000..009}.tar`, or any URL that fsspec is set up for.

    A clip is the files with one stem (the name up to its last dot): a video, an image or a sound,
    its caption as `.txt`, or as `.json` with `caption` (or `text`, `prompt`) and, if wanted,
    `start` and `end` in seconds. A sound beside a picture is its sound. Other files are never
    read.

    max_members   a shard with more is refused
    """

    def __init__(self, urls: FilePath | Sequence[FilePath], max_members: int = MAX_MEMBERS) -> None:
        self.urls, self.max_members = urls, max_members

    def listing(self) -> Listing:
        """All clips, by shard and place in it; each shard is read through once, by its headers.

        Raises ValueError if a shard is not there or a pattern matches nothing.
        """
        builder = ListingBuilder()
        shards = shard_paths(self.urls)
        # keys do not change when all shards move together
        folders = zip(*(shard.split("/")[:-1] for shard in shards), strict=False)
        num_shared = len(list(itertools.takewhile(lambda names: len(set(names)) == 1, folders)))
        for shard in shards:
            label = "/".join(shard.split("/")[num_shared:])
            index = index_shard(shard, label=label, max_members=self.max_members)
            for rejection in index.rejections:
                builder.reject(rejection)
            _list_shard(builder, label, index)
        return builder.build()


def shard_paths(urls: str | Sequence[str]) -> list[str]:
    """Local absolute paths and fsspec URLs, in the order given; those of a glob sorted.

    `{000..009}` counts, with the zeros of its first number, and `{a,b}` lists; several braces are
    combined. Raises ValueError for a pattern that matches nothing, a shard that is not there or is
    named twice, a protocol that fsspec does not know, and `pipe:` (no shell is run).
    """
    patterns = [urls] if isinstance(urls, str) else urls
    paths = [path for one in patterns for name in expand_braces(one) for path in _found(name)]
    if not paths:
        raise ValueError("urls is empty; give the tar shards, as clips-{000..009}.tar")
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise ValueError(f"urls names shards twice: {', '.join(twice[:3])}")
    return paths


def expand_braces(pattern: str) -> list[str]:
    """Every name that a pattern with braces stands for."""
    choices: list[Sequence[str]] = []
    for index, part in enumerate(BRACES.split(pattern)):
        counted = COUNTED.fullmatch(part) if index % 2 else None
        if counted:
            first, last = counted.groups()
            numbers = range(int(first), int(last) + 1)
            if not 0 < len(numbers) <= MAX_SHARDS:
                raise ValueError(f"{{{part}}} must count upwards, over at most {MAX_SHARDS:,}")
            choices.append([str(number).zfill(len(first)) for number in numbers])
        else:
            choices.append(part.split(",") if index % 2 else [part])
    names = ["".join(one) for one in itertools.islice(itertools.product(*choices), MAX_SHARDS + 1)]
    if len(names) > MAX_SHARDS:
        raise ValueError(f"{pattern!r} stands for more than {MAX_SHARDS:,} shards")
    return names


def _found(name: str) -> list[str]:
    if name.startswith("pipe:"):
        raise ValueError(f"{name!r} would run a command; give a path or a URL that fsspec knows")
    if "://" not in name:
        path = Path(name).expanduser().absolute()
        if path.is_file():
            return [str(path)]
        matches = sorted(match for match in glob.glob(str(path)) if Path(match).is_file())
        if not matches:
            raise ValueError(f"urls names {name!r}: there is no such file under {Path.cwd()}")
        return matches
    try:
        system, path_there = fsspec.core.url_to_fs(name)
    except (ImportError, ValueError) as error:
        raise ValueError(f"urls names {name!r}, which cannot be opened: {error}") from None
    if not glob.has_magic(path_there):
        if not system.isfile(path_there):
            raise ValueError(f"urls names {name!r}: there is no such file")
        return [name]
    matches = sorted(system.unstrip_protocol(match) for match in system.glob(path_there))
    if not matches:
        raise ValueError(f"urls names {name!r}: no file matches")
    return matches


def _list_shard(builder: ListingBuilder, shard: str, index: ShardIndex) -> None:
    groups: dict[str, dict[str, TarMember]] = defaultdict(dict)
    others: Counter[str] = Counter()
    for member in index.members:
        suffix = suffix_of(member.name)
        is_hidden = PurePosixPath(member.name).name.startswith(".")
        if is_hidden or suffix not in (*MEDIA_SUFFIXES, *TEXT_BYTES):
            others["hidden" if is_hidden else suffix or "without suffix"] += 1
        elif member.name in groups[stem_of(member.name)]:
            name = f"{shard}/{member.name}"
            builder.reject(left_out(name, Reason.DUPLICATE, "is in the shard before"))
        else:
            groups[stem_of(member.name)][member.name] = member
    if others:
        types = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(8))
        logger.warning("%s: files that are neither media nor captions: %s", shard, types)
    refused = {stem_of(rejection.file) for rejection in index.rejections}
    for stem, group in groups.items():
        if choose_media(tuple(group)) or f"{shard}/{stem}" not in refused:
            _list_group(builder, shard, group, index.texts)


def _list_group(
    builder: ListingBuilder, shard: str, group: dict[str, TarMember], texts: dict[str, bytes]
) -> None:
    """The files of one stem."""
    files = choose_media(tuple(group))
    if files is None:
        fault = "is a caption without a media file of its stem"
        return builder.reject(left_out(f"{shard}/{min(group)}", Reason.MISSING, fault))
    for name in files.unused:
        fault = f"has the stem of {files.media!r}, which is taken"
        hint = "give each clip a stem of its own"
        builder.reject(left_out(f"{shard}/{name}", Reason.DUPLICATE, fault, hint=hint))
    key = f"{shard}/{files.media}"
    found = _described(key, group, texts)
    if isinstance(found, Rejection):
        return builder.reject(found)
    audio = group[files.audio] if files.audio else None
    builder.add(key, group[files.media], audio=audio, **found)


def _described(
    key: str, group: dict[str, TarMember], texts: dict[str, bytes]
) -> dict[str, Any] | Rejection:
    """Caption, start, end and notes, from the texts of a clip."""
    found: dict[str, bytes] = {}
    for name, member in group.items():
        suffix = suffix_of(name)
        if suffix in TEXT_BYTES and member.size > TEXT_BYTES[suffix]:
            fault = f"has a {suffix} of {member.size:,} bytes, more than {TEXT_BYTES[suffix]:,}"
            return left_out(key, Reason.BAD_CAPTION, fault)
        if suffix in TEXT_BYTES:
            found[suffix] = texts[name]
    described = found.get(".json")
    fields = {} if described is None else json_object(described, key, what="has a .json that ")
    if isinstance(fields, Rejection):
        return fields
    named = {name: fields[name] for name in TEXT_COLUMNS if fields.get(name) is not None}
    span = {"start": fields.get("start"), "end": fields.get("end")}
    if ".txt" in found:
        text = found[".txt"]
        is_other = any(str(value).strip().encode() != text.strip() for value in named.values())
        notes = ("caption of the .txt taken, the .json has another",) if is_other else ()
        return {"caption": text, "notes": notes, **span}
    if len({str(value) for value in named.values()}) > 1:
        fault = f"has a .json with {' and '.join(named)}, which differ"
        return left_out(key, Reason.BAD_CAPTION, fault, hint="keep the one to train on")
    if not named:
        hint = f"give it as .txt, or as .json with one of {', '.join(TEXT_COLUMNS)}"
        return left_out(key, Reason.BAD_CAPTION, "has no caption", hint=hint)
    return {"caption": next(iter(named.values())), **span}
