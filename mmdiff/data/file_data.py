"""Data modules of files, flat as a user writes them: data=folder data.root=..."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.datamodule import DataModule
from mmdiff.data.file_clips import FileClips
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.sources.folder import ClipFolder
from mmdiff.data.sources.listing import Source
from mmdiff.data.sources.pairs import PairLists
from mmdiff.data.sources.shards import Shards
from mmdiff.data.sources.weighted_sources import WeightedSources
from mmdiff.media.limits import Limits
from mmdiff.values.checks import check_sizes, check_weights
from mmdiff.values.file_path import FilePath

PASSED_ON = (
    *("seed", "batch_size", "num_workers", "timeout_seconds", "pin_memory"),
    *("val_fraction", "val_clips"),
)


@dataclass(kw_only=True, eq=False, repr=False)
class FileData(DataModule, ABC):
    """What all data modules of files take; each adds what its source takes.

    spec              what every clip is brought to
    limits            what one file may cost
    max_bad_fraction  of the listed clips; more are an error
    the others        as in `DataModule`
    """

    seed: int
    batch_size: int
    spec: ClipSpec = field(default_factory=ClipSpec)
    limits: Limits = field(default_factory=Limits)
    max_bad_fraction: float = 0.01
    num_workers: int = 1
    timeout_seconds: float = 120
    pin_memory: bool = False
    val_fraction: float | None = None
    val_clips: int | None = None

    def __post_init__(self) -> None:
        # before the files are listed, which may take minutes
        check_sizes(batch_size=self.batch_size)
        check_sizes(least=0, num_workers=self.num_workers)
        check_weights(above=True, timeout_seconds=self.timeout_seconds)
        val_source = self.val_source()
        super().__init__(
            self._clips(self.source(), self.seed),
            val_dataset=None if val_source is None else self._clips(val_source, 0),
            **{name: getattr(self, name) for name in PASSED_ON},
        )

    def _clips(self, source: Source, seed: int) -> FileClips:
        clips = ListedClips(source, self.spec, limits=self.limits)
        return FileClips(clips, seed=seed, max_bad_fraction=self.max_bad_fraction)

    @abstractmethod
    def source(self) -> Source: ...

    def val_source(self) -> Source | None:
        """Clips of their own to validate on."""
        return None


@dataclass(kw_only=True, eq=False, repr=False)
class FolderData(FileData):
    """Clips of a `ClipFolder`; `val_root`: another one, to validate on."""

    root: FilePath
    metadata: FilePath | None = None
    allow_external: bool = False
    val_root: FilePath | None = None

    def source(self) -> Source:
        return ClipFolder(self.root, self.metadata, self.allow_external)

    def val_source(self) -> Source | None:
        root = self.val_root
        return None if root is None else ClipFolder(root, self.metadata, self.allow_external)


@dataclass(kw_only=True, eq=False, repr=False)
class PairsData(FileData):
    """Clips of `PairLists`; `val_root`: another folder of two such lists, to validate on."""

    root: FilePath
    prompts: FilePath = "prompts.txt"
    videos: FilePath = "videos.txt"
    allow_external: bool = False
    val_root: FilePath | None = None

    def source(self) -> Source:
        return PairLists(self.root, self.prompts, self.videos, self.allow_external)

    def val_source(self) -> Source | None:
        root = self.val_root
        lists = self.prompts, self.videos, self.allow_external
        return None if root is None else PairLists(root, *lists)


@dataclass(kw_only=True, eq=False, repr=False)
class ShardsData(FileData):
    """Clips of `Shards`; `val_urls`: others, to validate on."""

    urls: FilePath | list[FilePath]
    val_urls: FilePath | list[FilePath] | None = None

    def source(self) -> Source:
        return Shards(self.urls)

    def val_source(self) -> Source | None:
        return None if self.val_urls is None else Shards(self.val_urls)


@dataclass(kw_only=True, eq=False, repr=False)
class SeveralData(FileData):
    """Clips of several sources, mixed by weight; a text is the root of a `ClipFolder`."""

    sources: Mapping[str, Source | FilePath]
    weights: Mapping[str, float] | None = None

    def source(self) -> Source:
        named = self.sources.items()
        sources = {name: ClipFolder(one) if isinstance(one, str) else one for name, one in named}
        return WeightedSources(sources, self.weights)
