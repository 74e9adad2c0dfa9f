"""A folder of clips: with a table beside them, or a text file beside each."""

import logging
from collections import Counter
from pathlib import Path

from mmdiff.data.sources.caption_files import list_caption_files
from mmdiff.data.sources.clip_entry import Listing
from mmdiff.data.sources.confined_path import ConfinedPath, confined_path, media_root
from mmdiff.data.sources.folder_walk import walk_files
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.metadata_table import read_metadata
from mmdiff.data.sources.stem_files import MEDIA_SUFFIXES, suffix_of
from mmdiff.data.sources.table_formats import TABLE_NAMES, TABLE_SUFFIXES
from mmdiff.media.rejection import Rejection
from mmdiff.values.file_path import FilePath

logger = logging.getLogger(__name__)


class ClipFolder:
    """Clips under `root`, listed in one of two ways.

    By a table: `metadata.csv`, `metadata.jsonl` or `metadata.parquet` at the root or in any folder
    under it, with the columns `file_name` (relative to the folder of the table), `text` and, if
    wanted, `audio_file_name`, `start` and `end` (seconds), `sha256` and `audio_sha256` (a file that
    has another one is damaged). `metadata` names a table of another
    name. Without a table by sidecars: `clip.mp4` with `clip.txt`; `clip.wav` beside them is its
    sound.

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
        root = media_root(self.root)
        if self.metadata is not None:
            return self._by_tables(root, (self._given_table(root, self.metadata),), ())
        found = walk_files(root, allow_external=self.allow_external)
        names = [name for name in found.names if Path(name).name.lower() in TABLE_NAMES]
        folders = Counter(Path(name).parent for name in names)
        for folder in (folder for folder, count in folders.items() if count > 1):
            tables = [Path(name).name for name in names if Path(name).parent == folder]
            raise ValueError(
                f"{root / folder} holds {', '.join(tables)}; keep one, "
                f"or name the one to read: data.metadata={(folder / tables[0]).as_posix()}"
            )
        if names:
            paths = tuple(self._confined(root, root / name) for name in names)
            return self._by_tables(root, paths, found.names, found.rejections)
        return list_caption_files(root, found, allow_external=self.allow_external)

    def _given_table(self, root: Path, metadata: str) -> Path:
        path = root / Path(metadata).expanduser()
        if not path.is_file():
            names = walk_files(root, allow_external=self.allow_external).names
            tables = [name for name in names if suffix_of(name) in TABLE_SUFFIXES]
            found = ", ".join(tables[:5]) or "no table"
            raise ValueError(f"metadata is {metadata!r}, not there under {root}; found: {found}")
        return self._confined(root, path) if path.is_symlink() else path

    def _confined(self, root: Path, table: Path) -> Path:
        """A table that lies under the root, links followed: a list is data, and a link in data must
        not show what is elsewhere."""
        if not self.allow_external and not table.resolve().is_relative_to(root):
            raise ValueError(
                f"{table} links to a place outside of {root}; put the table itself there, "
                "or set data.allow_external=true"
            )
        return table

    def _by_tables(
        self,
        root: Path,
        tables: tuple[Path, ...],
        names: tuple[str, ...],
        rejections: tuple[Rejection, ...] = (),
    ) -> Listing:
        builder = ListingBuilder()
        for rejection in rejections:
            builder.reject(rejection)
        for table in tables:
            base = table.parent if table.parent.is_relative_to(root) else root

            def resolve(name: str, base: Path = base) -> ConfinedPath | Rejection:
                return confined_path(
                    name,
                    root,
                    base=base,
                    allow_external=self.allow_external,
                    looks_for_near=builder.looks_for_near,
                )

            for row in read_metadata(table):
                if isinstance(row, Rejection):
                    builder.reject(row)
                else:
                    builder.add_named(
                        row.file_name,
                        resolve=resolve,
                        caption=row.caption,
                        audio_file_name=row.audio_file_name,
                        span=row.span,
                        sha256=row.sha256,
                        audio_sha256=row.audio_sha256,
                    )
        listing = builder.build()
        _log_unlisted(root, names, listing)
        return listing


def _log_unlisted(root: Path, names: tuple[str, ...], listing: Listing) -> None:
    """The table decides what the data set is; media that it does not name are told, not taken."""
    listed = {str(media) for e in listing.entries for media in (e.media, e.audio) if media}
    refused = {rejection.file for rejection in listing.rejections}
    media = [name for name in names if suffix_of(name) in MEDIA_SUFFIXES]
    unlisted = [n for n in media if str(root / n) not in listed and n not in refused]
    if unlisted:
        first = ", ".join(map(repr, unlisted[:3]))
        message = "%s: %d media files are in no table and not part of the data: %s"
        logger.warning(message, root, len(unlisted), first)
