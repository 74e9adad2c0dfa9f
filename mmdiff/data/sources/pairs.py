"""Two text files, line by line: captions and the clips that they belong to."""

from pathlib import Path

from mmdiff.data.sources.listing import Listing
from mmdiff.data.sources.listing_builder import ListingBuilder
from mmdiff.data.sources.safe_path import MediaRoot
from mmdiff.data.sources.table import open_text
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
        root, builder = MediaRoot(self.root, allow_external=self.allow_external), ListingBuilder()
        captions = _lines(root.path, "prompts", self.prompts)
        names = _lines(root.path, "videos", self.videos)
        if len(captions) != len(names):
            raise ValueError(
                f"{self.prompts} has {len(captions)} lines and {self.videos} has {len(names)}; "
                "line n of the one belongs to line n of the other: write a caption of several "
                "lines on one line"
            )
        for name, caption in zip(names, captions, strict=True):
            with builder.rejecting():
                media = root.named(name.strip())
                builder.add(media.key, media.path, caption=caption)
        return builder.build()


def _lines(root: Path, argument: str, name: str) -> list[str]:
    path = root / Path(name).expanduser()
    if not path.is_file():
        found = ", ".join(sorted(item.name for item in root.glob("*.txt"))[:5]) or "no .txt file"
        raise ValueError(f"{argument} is {name!r}, not there under {root}; found: {found}")
    with open_text(path) as file:
        # a line ends with a line feed only: what else Python takes for an end may be in a caption
        lines = [line.removesuffix("\r") for line in file.read().rstrip().split("\n")]
    if lines == [""]:
        raise ValueError(f"{path} is empty; it must hold one line per clip")
    return lines
