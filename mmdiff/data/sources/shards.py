"""Clips in tar shards, in the layout of WebDataset: files of one clip share their stem."""

import glob
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import fsspec.core

from mmdiff.data.sources.folder import log_others, reject_unused
from mmdiff.data.sources.listing import (
    MEDIA_SUFFIXES,
    Listing,
    choose_media,
    left_out,
    stem_of,
    suffix_of,
)
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.metadata import TEXT_COLUMNS
from mmdiff.data.sources.shard_index import MAX_MEMBERS, TEXT_BYTES, ShardIndex, index_shard
from mmdiff.data.sources.table import json_object
from mmdiff.data.sources.tar_member import TarMember
from mmdiff.media.rejection import Reason
from mmdiff.values.file_path import FilePath

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
            _add_shard(builder, label, index)
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


def _add_shard(builder: ListingBuilder, shard: str, index: ShardIndex) -> None:
    groups: dict[str, dict[str, TarMember]] = defaultdict(dict)
    names = [member.name for member in index.members]
    shown = [name for name in names if not PurePosixPath(name).name.startswith(".")]
    log_others(shard, shown, (*MEDIA_SUFFIXES, *TEXT_BYTES))
    # a caption may stand anywhere in a shard, not only beside its clip
    for member in index.members:
        if suffix_of(member.name) not in (*MEDIA_SUFFIXES, *TEXT_BYTES):
            continue
        with builder.rejecting():
            if member.name in groups[stem_of(member.name)]:
                name = f"{shard}/{member.name}"
                raise left_out(name, Reason.DUPLICATE, "is in the shard before")
            if not PurePosixPath(member.name).name.startswith("."):
                groups[stem_of(member.name)][member.name] = member
    refused = {stem_of(rejection.file) for rejection in index.rejections}
    for stem, group in groups.items():
        with builder.rejecting():
            if choose_media(tuple(group)) or (group and f"{shard}/{stem}" not in refused):
                _add_group(builder, shard, group, index.texts)


def _add_group(
    builder: ListingBuilder, shard: str, group: dict[str, TarMember], texts: dict[str, bytes]
) -> None:
    """The files of one stem."""
    files = choose_media(tuple(group))
    if files is None:
        fault = "is a caption without a media file of its stem"
        raise left_out(f"{shard}/{min(group)}", Reason.MISSING, fault)
    reject_unused(builder, tuple(f"{shard}/{name}" for name in files.unused), files.media)
    key, found = f"{shard}/{files.media}", dict[str, bytes]()
    for name, member in group.items():
        suffix = suffix_of(name)
        most = TEXT_BYTES.get(suffix, member.size)
        if member.size > most:
            fault = f"has a {suffix} of {member.size:,} bytes, more than {most:,}"
            raise left_out(key, Reason.BAD_CAPTION, fault)
        if suffix in TEXT_BYTES:
            found[suffix] = texts[name]
    described = found.get(".json", b"{}")
    fields = json_object(described, key, what="has a .json that ")
    named = {name: fields[name] for name in TEXT_COLUMNS if fields.get(name) is not None}
    notes: tuple[str, ...] = ()
    if ".txt" in found:
        caption: object = found[".txt"]
        # tools that write both put the same text into them
        if any(str(one).strip().encode() != found[".txt"].strip() for one in named.values()):
            notes = ("caption of the .txt taken, the .json has another",)
    elif len({str(value) for value in named.values()}) == 1:
        caption = next(iter(named.values()))
    else:
        differ = f"has a .json with {' and '.join(named)}, which differ"
        hint = f"give one, as .txt, or as .json with one of {', '.join(TEXT_COLUMNS)}"
        fault = differ if named else "has no caption"
        raise left_out(key, Reason.BAD_CAPTION, fault, hint=hint)
    builder.add(
        key,
        group[files.media],
        caption=caption,
        audio=group[files.audio] if files.audio else None,
        start=fields.get("start"),
        end=fields.get("end"),
        notes=notes,
    )
