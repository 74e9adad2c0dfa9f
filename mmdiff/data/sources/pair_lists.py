"""Two text files, line by line: captions and the clips that they belong to."""

from pathlib import Path

from mmdiff.data.sources.caption_check import WIDE_MARKS
from mmdiff.data.sources.clip_entry import Listing
from mmdiff.data.sources.confined_path import ConfinedPath, confined_path, media_root
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.table_row import MAX_TABLE_BYTES
from mmdiff.media.rejection import Rejection
from mmdiff.values.file_path import FilePath


class PairLists:
    """Line n of `prompts` is the caption of the file on line n of `videos`, the layout of
    CogVideoX and finetrainers.

    Both lists lie under `root`, and the names in `videos` are relative to it. Blank lines at the
    end of a list do not count.

    allow_external   let names and links lead out of the root, to other local files
    """

    def __init__(
        self,
        root: FilePath | Path,
        prompts: FilePath = "prompts.txt",
        videos: FilePath = "videos.txt",
        allow_external: bool = False,
    ) -> None:
        self.root, self.prompts, self.videos = root, prompts, videos
        self.allow_external = allow_external

    def listing(self) -> Listing:
        """The pairs in order; ValueError if a list is missing, empty, or longer than the other."""
        root = media_root(self.root)
        captions = _lines(root, "prompts", self.prompts)
        names = [line.strip() for line in _lines(root, "videos", self.videos)]
        if len(captions) != len(names):
            raise ValueError(
                f"{self.prompts} has {len(captions)} lines and {self.videos} has {len(names)}; "
                "line n of the one belongs to line n of the other: write a caption of several "
                "lines on one line"
            )

        builder = ListingBuilder()

        def resolve(name: str) -> ConfinedPath | Rejection:
            external, near = self.allow_external, builder.looks_for_near
            return confined_path(name, root, allow_external=external, looks_for_near=near)

        for name, caption in zip(names, captions, strict=True):
            builder.add_named(name, resolve=resolve, caption=caption)
        return builder.build()


def _lines(root: Path, argument: str, name: str) -> list[str]:
    """Lines end with a line feed only: other signs that Python takes for ends may be in a caption.

    Bytes that are no UTF-8 become lone surrogates, so that they spoil their line only.
    """
    path = root / Path(name).expanduser()
    if not path.is_file():
        found = ", ".join(sorted(item.name for item in root.glob("*.txt"))[:5]) or "no .txt file"
        raise ValueError(f"{argument} is {name!r}, not there under {root}; found: {found}")
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise ValueError(f"{path} is larger than {MAX_TABLE_BYTES:,} bytes: no list of clips")
    raw = path.read_bytes()
    if raw.startswith(WIDE_MARKS):
        raise ValueError(f"{path} is in UTF-16; save it as UTF-8")
    text = raw.decode("utf-8-sig", "surrogateescape")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise ValueError(f"{path} is empty; it must hold one line per clip")
    return lines
