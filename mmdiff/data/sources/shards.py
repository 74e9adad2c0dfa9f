"""Clips in tar shards, in the layout of WebDataset: files of one clip share their stem."""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from mmdiff.data.sources.clip_entry import Listing
from mmdiff.data.sources.list_fault import list_fault
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.media_span import MediaSpan, read_span
from mmdiff.data.sources.metadata_table import TEXT_COLUMNS
from mmdiff.data.sources.shard_index import MAX_MEMBERS, TEXT_BYTES, ShardIndex, index_shard
from mmdiff.data.sources.shard_urls import shard_paths
from mmdiff.data.sources.stem_files import MEDIA_SUFFIXES, choose_media, stem_of, suffix_of
from mmdiff.data.sources.tar_member import TarMember
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.values.file_path import FilePath

logger = logging.getLogger(__name__)


class Shards:
    """Tar shards by path, glob, `clips-{000..009}.tar`, or any URL that fsspec is set up for.

    A clip is the files with one stem (the name up to its last dot): a video, an image or a sound,
    its caption as `.txt`, or as `.json` with `caption` (or `text`, `prompt`) and, if wanted,
    `start` and `end` in seconds. A sound beside a picture is its sound. Files of other kinds are
    never read.

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
        root = _common_folder(shards)
        for shard in shards:
            label = shard.removeprefix(root)
            index = index_shard(shard, label=label, max_members=self.max_members)
            for rejection in index.rejections:
                builder.reject(rejection)
            _list_shard(builder, label, index)
        return builder.build()


@dataclass(frozen=True)
class _Description:
    """What the texts of a stem say: a caption as it was found, and the stretch of the file."""

    caption: object
    span: MediaSpan | Rejection
    notes: tuple[str, ...] = ()


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
            builder.reject(list_fault(name, Reason.DUPLICATE, "is in the shard before"))
        else:
            groups[stem_of(member.name)][member.name] = member
    if others:
        kinds = ", ".join(f"{count} {kind}" for kind, count in others.most_common(8))
        logger.warning("%s: files that are neither media nor captions: %s", shard, kinds)
    refused = {stem_of(rejection.file) for rejection in index.rejections}
    for stem, group in groups.items():
        is_told = f"{shard}/{stem}" in refused
        _list_group(builder, shard, group, index.texts, is_told)


def _list_group(
    builder: ListingBuilder,
    shard: str,
    group: dict[str, TarMember],
    texts: dict[str, bytes],
    is_told: bool,
) -> None:
    files = choose_media(tuple(group))
    if files is None:
        if not is_told:  # its media file was not refused before
            fault = "is a caption without a media file of its stem"
            builder.reject(list_fault(f"{shard}/{min(group)}", Reason.MISSING, fault))
        return
    key = f"{shard}/{files.media}"
    for name in files.unused:
        fault = f"has the stem of {files.media!r}, which is taken"
        cure = "give each clip a stem of its own"
        builder.reject(list_fault(f"{shard}/{name}", Reason.DUPLICATE, fault, cure=cure))
    described = _describe(key, group, texts)
    if isinstance(described, Rejection):
        builder.reject(described)
        return
    builder.add(
        key,
        group[files.media],
        caption=described.caption,
        audio=group[files.audio] if files.audio else None,
        span=described.span,
        notes=described.notes,
    )


def _describe(
    key: str, group: dict[str, TarMember], texts: dict[str, bytes]
) -> _Description | Rejection:
    found: dict[str, bytes] = {}
    for name, member in group.items():
        suffix = suffix_of(name)
        if suffix in TEXT_BYTES and member.size > TEXT_BYTES[suffix]:
            fault = f"has a {suffix} of {member.size:,} bytes, more than {TEXT_BYTES[suffix]:,}"
            return list_fault(key, Reason.BAD_CAPTION, fault)
        if suffix in TEXT_BYTES:
            found[suffix] = texts[name]
    if not found:
        cure = "put it beside the media file as .txt, or as .json with a caption"
        return list_fault(key, Reason.BAD_CAPTION, "has no caption", cure=cure)
    return _read_texts(key, found.get(".txt"), found.get(".json"))


def _read_texts(key: str, text: bytes | None, described: bytes | None) -> _Description | Rejection:
    try:
        fields = json.loads(described.decode("utf-8-sig")) if described is not None else {}
    except (ValueError, RecursionError) as error:
        fault = f"has a .json that cannot be read ({' '.join(str(error).split())})"
        return list_fault(key, Reason.BAD_ROW, fault, cure="write one JSON object in UTF-8")
    if not isinstance(fields, dict):
        fault = f"has a .json with a {type(fields).__name__}, not an object"
        return list_fault(key, Reason.BAD_ROW, fault, cure='write {"caption": ...}')
    span = read_span(fields.get("start"), fields.get("end"), file=key)
    named = {name: fields[name] for name in TEXT_COLUMNS if fields.get(name) is not None}
    if text is not None:
        is_other = any(str(value).strip().encode() != text.strip() for value in named.values())
        notes = ("caption of the .txt taken, the .json has another",) if is_other else ()
        return _Description(text, span, notes)
    if len({str(value) for value in named.values()}) > 1:
        fault = f"has a .json with {' and '.join(named)}, which differ"
        return list_fault(key, Reason.BAD_CAPTION, fault, cure="keep the one to train on")
    if not named:
        fault = f"has a .json without a caption; found: {', '.join(map(repr, list(fields)[:8]))}"
        cure = f"name it {', '.join(TEXT_COLUMNS)}"
        return list_fault(key, Reason.BAD_CAPTION, fault, cure=cure)
    return _Description(next(iter(named.values())), span)


def _common_folder(shards: Sequence[str]) -> str:
    """The folders that all shards are in, so that keys do not change when they move together."""
    folders = [shard.split("/")[:-1] for shard in shards]
    shared = 0
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return "".join(f"{part}/" for part in folders[0][:shared])
