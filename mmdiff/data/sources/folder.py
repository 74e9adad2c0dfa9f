"""A folder of clips: with a table in it, or a text file beside each clip."""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from mmdiff.data.sources.caption import MAX_BYTES
from mmdiff.data.sources.listing import Listing, left_out
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.metadata import read_metadata
from mmdiff.data.sources.safe_path import MediaRoot, SafePath
from mmdiff.data.sources.stem_files import MEDIA_SUFFIXES, choose_media, stem_of, suffix_of
from mmdiff.data.sources.table import TABLE_NAMES, TABLE_SUFFIXES
from mmdiff.media.rejection import Reason, Rejection
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
            names, rejections = walk(root)
            tables = [root.path / name for name in names if Path(name).name.lower() in TABLE_NAMES]
            for rejection in rejections:
                builder.reject(rejection)
        if not tables:
            return _listed_by_texts(root, names, builder)
        _check_tables(root, tables)
        return _listed_by_tables(root, tables, names, builder)


def walk(root: MediaRoot) -> tuple[list[str], list[Rejection]]:
    """Paths relative to the root of all files but hidden ones, sorted; and the folders that were
    not entered. A linked folder is entered once, so loops of links end."""
    names: list[str] = []
    rejections: list[Rejection] = []
    entered = {str(root.path)}

    def is_new(path: Path) -> bool:
        real = os.path.realpath(path)
        if real in entered:
            return False
        if not root.holds(real):
            fault = "links to a folder outside of the root"
            rejections.append(left_out(inside(path), Reason.EXTERNAL, fault))
            return False
        entered.add(real)
        return True

    def inside(path: Path) -> str:
        return path.relative_to(root.path).as_posix()

    def unreadable(error: OSError) -> None:
        fault = f"is a folder that cannot be read ({error.strerror})"
        rejections.append(left_out(inside(Path(error.filename)), Reason.UNREADABLE, fault))

    for folder, folders, files in os.walk(root.path, followlinks=True, onerror=unreadable):
        here = Path(folder)
        folders[:] = [one for one in sorted(folders) if one[0] != "." and is_new(here / one)]
        names += [inside(here / name) for name in files if name[0] != "."]
    return sorted(names), sorted(rejections, key=lambda one: one.file)


def _given_table(root: MediaRoot, metadata: str) -> Path:
    path = root.path / Path(metadata).expanduser()
    if not path.is_file():
        tables = [name for name in walk(root)[0] if suffix_of(name) in TABLE_SUFFIXES]
        found = ", ".join(tables[:5]) or "no table"
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


def _listed_by_tables(
    root: MediaRoot, tables: Iterable[Path], names: list[str], builder: ListingBuilder
) -> Listing:
    for table in tables:
        base = table.parent if table.parent.is_relative_to(root.path) else root.path
        for row in read_metadata(table):
            if isinstance(row, Rejection):
                builder.reject(row)
                continue
            builder.add_named(
                row.file_name,
                path_of=partial(root.named, base=base),
                audio_name=row.audio_file_name,
                caption=row.caption,
                start=row.start,
                end=row.end,
                sha256=row.sha256,
                audio_sha256=row.audio_sha256,
            )
    listing = builder.build()
    # the table decides what the data set is; media that it does not name are reported, not taken
    known = {str(media) for one in listing.entries for media in (one.media, one.audio)}
    known |= {str(root.path / rejection.file) for rejection in listing.rejections}
    media = [name for name in names if suffix_of(name) in MEDIA_SUFFIXES]
    unlisted = [name for name in media if str(root.path / name) not in known]
    if unlisted:
        first = ", ".join(map(repr, unlisted[:3]))
        message = "%s: %d media files are in no table and not part of the data: %s"
        logger.warning(message, root.path, len(unlisted), first)
    return listing


def _listed_by_texts(root: MediaRoot, names: list[str], builder: ListingBuilder) -> Listing:
    """Clips by path; ValueError if there are no media files or no captions at all."""
    _require_captions(root, names)
    groups: dict[str, list[str]] = defaultdict(list)
    others: Counter[str] = Counter()
    for name in names:
        if suffix_of(name) in (*MEDIA_SUFFIXES, ".txt"):
            groups[stem_of(name)].append(name)
        else:
            others[suffix_of(name) or "without suffix"] += 1
    if others:
        types = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(8))
        logger.warning("%s: files that are neither media nor .txt: %s", root.path, types)
    for _, group in sorted(groups.items()):
        _add_group(root, group, builder)
    return builder.build()


def _add_group(root: MediaRoot, names: list[str], builder: ListingBuilder) -> None:
    """The files of one stem."""
    texts = [name for name in names if suffix_of(name) == ".txt"]
    files = choose_media(names)
    if files is None:
        if Path(texts[0]).stem.lower() not in NO_CAPTIONS:
            fault = "is a caption without a media file beside it"
            builder.reject(left_out(texts[0], Reason.MISSING, fault))
        return
    for name in files.unused:
        fault = f"has the stem of {files.media!r}, which is taken"
        builder.reject(left_out(name, Reason.DUPLICATE, fault, hint="rename one of them"))
    if not texts:
        hint = f"write its caption into a text file named {Path(files.media).stem}.txt"
        fault = "is left out, it has no caption"
        return builder.reject(left_out(files.media, Reason.BAD_CAPTION, fault, hint=hint))

    def path_of(name: str) -> SafePath | Rejection:
        return root.found(root.path / name, name=name)  # no list names it: a colon is no protocol

    text = path_of(texts[0])
    if isinstance(text, Rejection):
        return builder.reject(text)
    size = text.path.stat().st_size
    if size > MAX_BYTES:
        fault = f"has {size:,} bytes; a caption may have {MAX_BYTES:,}"
        return builder.reject(left_out(texts[0], Reason.BAD_CAPTION, fault))
    caption = text.path.read_bytes()
    builder.add_named(files.media, path_of=path_of, audio_name=files.audio, caption=caption)


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
