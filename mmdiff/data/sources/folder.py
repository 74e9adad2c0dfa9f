"""A folder of clips: with a table in it, or a text file beside each clip."""

import logging
import os
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

from mmdiff.data.sources.caption import MAX_BYTES
from mmdiff.data.sources.listing import (
    MEDIA_SUFFIXES,
    Listing,
    choose_media,
    left_out,
    stem_of,
    suffix_of,
)
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.metadata import add_rows
from mmdiff.data.sources.safe_path import MediaRoot, SafePath
from mmdiff.data.sources.table import TABLE_NAMES, TABLE_SUFFIXES
from mmdiff.media.rejection import Reason
from mmdiff.values.file_path import FilePath

NO_CAPTIONS = ("readme", "license", "licence", "notice")  # texts that stand beside any data

logger = logging.getLogger(__name__)


class ClipFolder:
    """Clips under `root`, listed in one of two ways.

    By a table: `metadata.csv`, `metadata.jsonl` or `metadata.parquet` at the root or in any folder
    under it, with the columns `file_name` (relative to the folder of the table), `text` and, if
    wanted, `audio_file_name`, `start` and `end` (seconds), `sha256` and `audio_sha256` (a file that
    has another one is damaged). `metadata` names a table of another name. Without a table by text
    files: `clip.mp4` with `clip.txt`; `clip.wav` beside them is its sound.

    allow_external   let names and links lead out of the root, to other local files
    """

    def __init__(
        self,
        root: FilePath | Path,
        metadata: FilePath | None = None,
        allow_external: bool = False,
    ) -> None:
        self.root, self.metadata, self.allow_external = root, metadata, allow_external

    def listing(self) -> Listing:
        """All clips in a fixed order: by table and row, or by path.

        Raises ValueError if there is no folder, no clip, a table that cannot be read, or two
        tables in one folder.
        """
        root, builder = MediaRoot(self.root, allow_external=self.allow_external), ListingBuilder()
        if self.metadata is not None:
            names, tables = list[str](), [_given_table(root, self.metadata)]
        else:
            names = walk(root, builder)
            tables = [root.path / name for name in names if Path(name).name.lower() in TABLE_NAMES]
        if not tables:
            _add_by_texts(root, names, builder)
            return builder.build()
        _check_tables(root, tables)
        for table in tables:
            base = table.parent if table.parent.is_relative_to(root.path) else root.path
            add_rows(table, builder, partial(root.named, base=base))
        listing = builder.build()
        _log_unlisted(root, names, listing)
        return listing


def walk(root: MediaRoot, builder: ListingBuilder) -> list[str]:
    """Paths relative to the root of all files but hidden ones, sorted; folders that cannot be
    entered are rejected. A linked folder is entered once, so loops of links end."""
    names: list[str] = []
    entered = {str(root.path)}

    def inside(path: Path) -> str:
        return path.relative_to(root.path).as_posix()

    def is_new(path: Path) -> bool:
        real = os.path.realpath(path)  # links in a circle lead to the same one
        is_known = real in entered
        entered.add(real)
        with builder.rejecting():
            if is_known or root.holds(real):
                return not is_known
            fault = "links to a folder outside of the root"
            raise left_out(inside(path), Reason.EXTERNAL, fault)
        return False

    def unreadable(error: OSError) -> None:
        with builder.rejecting():
            fault = f"is a folder that cannot be read ({error.strerror})"
            raise left_out(inside(Path(error.filename)), Reason.UNREADABLE, fault)

    for folder, folders, files in os.walk(root.path, followlinks=True, onerror=unreadable):
        here = Path(folder)
        folders[:] = [one for one in sorted(folders) if one[0] != "." and is_new(here / one)]
        names += [inside(here / name) for name in files if name[0] != "."]
    return sorted(names)


def _given_table(root: MediaRoot, metadata: str) -> Path:
    path = root.path / Path(metadata).expanduser()
    if not path.is_file():
        names = walk(root, ListingBuilder())
        found = ", ".join([n for n in names if suffix_of(n) in TABLE_SUFFIXES][:5]) or "no table"
        raise ValueError(f"metadata is {metadata!r}, not there under {root.path}; found: {found}")
    return path


def _check_tables(root: MediaRoot, tables: list[Path]) -> None:
    for folder, count in Counter(table.parent for table in tables).items():
        if count > 1:
            found = [table for table in tables if table.parent == folder]
            raise ValueError(
                f"{folder} holds {', '.join(table.name for table in found)}; keep one, or name the "
                f"one to read: data.metadata={found[0].relative_to(root.path).as_posix()}"
            )
    for table in tables:
        # a list is data, and a link in data must not show what is elsewhere
        if table.is_symlink() and not root.holds(table):
            raise ValueError(
                f"{table} links to a place outside of {root.path}; put the table itself there, "
                "or set data.allow_external=true"
            )


def _log_unlisted(root: MediaRoot, names: list[str], listing: Listing) -> None:
    """The table decides what the data set is; media that it does not name are reported."""
    known = {str(media) for one in listing.entries for media in (one.media, one.audio)}
    known |= {str(root.path / rejection.file) for rejection in listing.rejections}
    media = [name for name in names if suffix_of(name) in MEDIA_SUFFIXES]
    unlisted = [name for name in media if str(root.path / name) not in known]
    if unlisted:
        first = ", ".join(map(repr, unlisted[:3]))
        message = "%s: %d media files are in no table and not part of the data: %s"
        logger.warning(message, root.path, len(unlisted), first)


def _add_by_texts(root: MediaRoot, names: list[str], builder: ListingBuilder) -> None:
    """Clips by path; ValueError if there are no media files or no captions at all."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if suffix_of(name) in (*MEDIA_SUFFIXES, ".txt"):
            groups[stem_of(name)].append(name)
    _require_captions(root, names)
    log_others(str(root.path), names, (*MEDIA_SUFFIXES, ".txt"))
    for _, group in sorted(groups.items()):
        with builder.rejecting():
            _add_group(root, group, builder)


def log_others(where: str, names: list[str], suffixes: tuple[str, ...]) -> None:
    """Say how many files have other suffixes than these."""
    others = Counter(suffix_of(one) for one in names if suffix_of(one) not in suffixes)
    if others:
        types = ", ".join(
            f"{n} {suffix or 'without suffix'}" for suffix, n in others.most_common(8)
        )
        logger.warning("%s: files that are neither media nor captions: %s", where, types)


def _add_group(root: MediaRoot, names: list[str], builder: ListingBuilder) -> None:
    """The files of one stem."""
    texts = [name for name in names if suffix_of(name) == ".txt"]
    files = choose_media(names)
    if files is None:
        if Path(texts[0]).stem.lower() in NO_CAPTIONS:
            return
        raise left_out(texts[0], Reason.MISSING, "is a caption without a media file beside it")
    reject_unused(builder, files.unused, files.media)
    if not texts:
        hint = f"write its caption into a text file named {Path(files.media).stem}.txt"
        raise left_out(files.media, Reason.BAD_CAPTION, "has no caption", hint=hint)

    def found(name: str) -> SafePath:
        return root.found(root.path / name, name=name)  # no list names it: a colon is no protocol

    text, media = found(texts[0]), found(files.media)
    audio = None if files.audio is None else found(files.audio).path
    size = text.path.stat().st_size
    if size > MAX_BYTES:
        fault = f"has {size:,} bytes; a caption may have {MAX_BYTES:,}"
        raise left_out(texts[0], Reason.BAD_CAPTION, fault)
    builder.add(media.key, media.path, caption=text.path.read_bytes(), audio=audio)


def reject_unused(builder: ListingBuilder, unused: tuple[str, ...], taken: str) -> None:
    for name in unused:
        with builder.rejecting():
            fault, hint = f"has the stem of {taken!r}, which is taken", "rename one of them"
            raise left_out(name, Reason.DUPLICATE, fault, hint=hint)


def _require_captions(root: MediaRoot, names: list[str]) -> None:
    media = sum(suffix_of(name) in MEDIA_SUFFIXES for name in names)
    texts = sum(suffix_of(name) == ".txt" for name in names)
    if media and texts:
        return
    hints = []
    if {"prompts.txt", "videos.txt"} <= set(names):
        hints.append("prompts.txt and videos.txt are pair lists: data=pairs")
    if any(suffix_of(name) == ".tar" for name in names):
        hints.append("tar files are shards: data=shards")
    if tables := [name for name in names if suffix_of(name) in TABLE_SUFFIXES]:
        hints.append(f"to take {tables[0]} as the table: metadata={tables[0]}")
    hints.append("captions go into metadata.csv (file_name,text), or clip.txt beside clip.mp4")
    raise ValueError(
        f"{root.path} holds {media} media files, {texts} .txt files and no "
        f"{', '.join(TABLE_NAMES)}: {'; '.join(hints)}"
    )
