"""Clips with their captions in files beside them: `clip.mp4`, `clip.txt`, and if wanted
`clip.wav`."""

import logging
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from mmdiff.data.sources.caption_check import MAX_BYTES
from mmdiff.data.sources.clip_entry import Listing
from mmdiff.data.sources.confined_path import ConfinedPath, confined_file
from mmdiff.data.sources.folder_walk import FolderFiles
from mmdiff.data.sources.list_fault import list_fault
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.stem_files import MEDIA_SUFFIXES, choose_media, stem_of, suffix_of
from mmdiff.data.sources.table_formats import TABLE_NAMES, TABLE_SUFFIXES
from mmdiff.media.rejection import Reason, Rejection

NO_CAPTIONS = ("readme", "license", "licence", "notice")  # texts that stand beside any data

logger = logging.getLogger(__name__)


def list_caption_files(root: Path, found: FolderFiles, *, allow_external: bool = False) -> Listing:
    """Clips by path, from the files that a walk under `root` found.

    ValueError if there are no media files or no captions at all: then the folder is laid out in
    another way, and the message says in which.
    """
    _require_captions(root, found.names)
    groups: dict[str, list[str]] = defaultdict(list)
    others: Counter[str] = Counter()
    for name in found.names:
        if suffix_of(name) in (*MEDIA_SUFFIXES, ".txt"):
            groups[stem_of(name)].append(name)
        else:
            others[suffix_of(name) or "without suffix"] += 1
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(8))
        logger.warning("%s: files that are neither media nor .txt: %s", root, kinds)
    builder = ListingBuilder()
    for rejection in found.rejections:
        builder.reject(rejection)
    for _, group in sorted(groups.items()):
        _CaptionedGroup(root, allow_external, tuple(group)).add_to(builder)
    return builder.build()


@dataclass(frozen=True)
class _CaptionedGroup:
    """The files of one stem."""

    root: Path
    allow_external: bool
    names: tuple[str, ...]

    def add_to(self, builder: ListingBuilder) -> None:
        texts = [name for name in self.names if suffix_of(name) == ".txt"]
        files = choose_media(self.names)
        if files is None:
            if Path(texts[0]).stem.lower() not in NO_CAPTIONS:
                fault = "is a caption without a media file beside it"
                builder.reject(list_fault(texts[0], Reason.MISSING, fault))
            return
        for name in files.unused:
            fault = f"has the stem of {files.media!r}, which is taken"
            builder.reject(list_fault(name, Reason.DUPLICATE, fault, cure="rename one of them"))
        if not texts:
            cure = f"write its caption into a text file named {Path(files.media).stem}.txt"
            fault = "is left out, it has no caption"
            builder.reject(list_fault(files.media, Reason.BAD_CAPTION, fault, cure=cure))
            return
        caption = self._read(texts[0])
        if isinstance(caption, Rejection):
            return builder.reject(caption)
        audio = files.audio
        builder.add_named(files.media, resolve=self._found, caption=caption, audio_file_name=audio)

    def _found(self, name: str) -> ConfinedPath | Rejection:
        """A file that a walk came upon: no list names it, so a colon in its name is no protocol."""
        external = self.allow_external
        return confined_file(self.root / name, self.root, name=name, allow_external=external)

    def _read(self, name: str) -> bytes | Rejection:
        file = self._found(name)
        if isinstance(file, Rejection):
            return file
        size = file.path.stat().st_size
        if size > MAX_BYTES:
            fault = f"has {size:,} bytes; a caption may have {MAX_BYTES:,}"
            return list_fault(name, Reason.BAD_CAPTION, fault)
        return file.path.read_bytes()


def _require_captions(root: Path, names: tuple[str, ...]) -> None:
    media = sum(suffix_of(name) in MEDIA_SUFFIXES for name in names)
    texts = sum(suffix_of(name) == ".txt" for name in names)
    if media and texts:
        return
    hints = []
    if {"prompts.txt", "videos.txt"} <= set(names):
        hints.append("prompts.txt and videos.txt are pair lists: data=pairs")
    if any(suffix_of(name) == ".tar" for name in names):
        hints.append("tar files are shards: data=shards")
    tables = [name for name in names if suffix_of(name) in TABLE_SUFFIXES]
    if tables:
        hints.append(f"to take {tables[0]} as the table: metadata={tables[0]}")
    hints.append("captions go into metadata.csv (file_name,text), or clip.txt beside clip.mp4")
    raise ValueError(
        f"{root} holds {media} media files, {texts} .txt files and no "
        f"{', '.join(TABLE_NAMES)}: {'; '.join(hints)}"
    )
