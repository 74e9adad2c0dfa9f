"""Data modules of files, flat as a user writes them: data=folder data.root=..."""

from collections.abc import Mapping

from mmdiff.data.datamodule import DataModule
from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.data.files.file_clips import FileClips
from mmdiff.data.files.listed_clips import ListedClips
from mmdiff.data.sources.clip_entry import Source
from mmdiff.data.sources.clip_folder import ClipFolder
from mmdiff.data.sources.pair_lists import PairLists
from mmdiff.data.sources.shards import Shards
from mmdiff.data.sources.weighted_sources import WeightedSources
from mmdiff.media.limits import Limits


def folder(
    root: str,
    *,
    seed: int,
    batch_size: int,
    metadata: str | None = None,
    allow_external: bool = False,
    spec: ClipSpec | None = None,
    limits: Limits | None = None,
    max_bad_fraction: float = 0.01,
    num_workers: int = 1,
    timeout_seconds: float = 120,
    pin_memory: bool = False,
) -> DataModule:
    """Clips of a `ClipFolder`."""
    return _data_module(
        ClipFolder(root, metadata, allow_external),
        spec,
        limits,
        seed=seed,
        batch_size=batch_size,
        max_bad_fraction=max_bad_fraction,
        num_workers=num_workers,
        timeout_seconds=timeout_seconds,
        pin_memory=pin_memory,
    )


def pairs(
    root: str,
    *,
    seed: int,
    batch_size: int,
    prompts: str = "prompts.txt",
    videos: str = "videos.txt",
    allow_external: bool = False,
    spec: ClipSpec | None = None,
    limits: Limits | None = None,
    max_bad_fraction: float = 0.01,
    num_workers: int = 1,
    timeout_seconds: float = 120,
    pin_memory: bool = False,
) -> DataModule:
    """Clips of `PairLists`."""
    return _data_module(
        PairLists(root, prompts, videos, allow_external),
        spec,
        limits,
        seed=seed,
        batch_size=batch_size,
        max_bad_fraction=max_bad_fraction,
        num_workers=num_workers,
        timeout_seconds=timeout_seconds,
        pin_memory=pin_memory,
    )


def shards(
    urls: str | list[str],
    *,
    seed: int,
    batch_size: int,
    spec: ClipSpec | None = None,
    limits: Limits | None = None,
    max_bad_fraction: float = 0.01,
    num_workers: int = 1,
    timeout_seconds: float = 120,
    pin_memory: bool = False,
) -> DataModule:
    """Clips of `Shards`."""
    return _data_module(
        Shards(urls),
        spec,
        limits,
        seed=seed,
        batch_size=batch_size,
        max_bad_fraction=max_bad_fraction,
        num_workers=num_workers,
        timeout_seconds=timeout_seconds,
        pin_memory=pin_memory,
    )


def several(
    sources: Mapping[str, Source],
    *,
    seed: int,
    batch_size: int,
    weights: Mapping[str, float] | None = None,
    spec: ClipSpec | None = None,
    limits: Limits | None = None,
    max_bad_fraction: float = 0.01,
    num_workers: int = 1,
    timeout_seconds: float = 120,
    pin_memory: bool = False,
) -> DataModule:
    """Clips of several sources, mixed by weight."""
    return _data_module(
        WeightedSources(sources, weights),
        spec,
        limits,
        seed=seed,
        batch_size=batch_size,
        max_bad_fraction=max_bad_fraction,
        num_workers=num_workers,
        timeout_seconds=timeout_seconds,
        pin_memory=pin_memory,
    )


def _data_module(
    source: Source,
    spec: ClipSpec | None,
    limits: Limits | None,
    *,
    seed: int,
    batch_size: int,
    max_bad_fraction: float,
    num_workers: int,
    timeout_seconds: float,
    pin_memory: bool,
) -> DataModule:
    clips = ListedClips(source, spec or ClipSpec(), limits=limits)
    return DataModule(
        FileClips(clips, seed=seed, max_bad_fraction=max_bad_fraction),
        batch_size,
        seed=seed,
        num_workers=num_workers,
        timeout_seconds=timeout_seconds,
        pin_memory=pin_memory,
    )
