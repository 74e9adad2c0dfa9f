"""A source for tests: names of a folder, and some that could not be listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdiff.data.sources.listing import ClipEntry, Listing
from mmdiff.media.rejection import Reason, Rejection


@dataclass(frozen=True)
class Listed:
    """The caption of each clip is its name."""

    folder: Path
    names: Sequence[str]
    num_unlisted: int = 0

    def listing(self) -> Listing:
        entries = tuple(ClipEntry(name, name, self.folder / name) for name in self.names)
        rejections = tuple(
            Rejection(f"row {i}", Reason.BAD_ROW, "list", f"row {i} has no file name; write one")
            for i in range(self.num_unlisted)
        )
        return Listing(entries, rejections)
