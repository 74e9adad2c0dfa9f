"""Fills a latent cache: clips -> autoencoders -> latents of unit variance, resumed where it
stopped, by one process or several."""

import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from mmdiff.data.bad_clips import are_too_many, too_many
from mmdiff.data.batch import ClipBatch
from mmdiff.data.checksummed_json import (
    StaleCache,
    digest_of,
    read_checksummed,
    write_checksummed,
)
from mmdiff.data.clip_encoder import ClipEncoder, check_rates
from mmdiff.data.clips import CheckedClips
from mmdiff.data.latent_cache import LatentCache, cache_spec, precision_of, settings_of
from mmdiff.data.loader import ReportingLoader
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.values.checks import check_fractions, check_sizes
from mmdiff.values.latents import ClipLatents
from mmdiff.values.progress import bar_arguments
from mmdiff.values.sample import Sample, SampleFacts
from mmdiff.values.shapes import LatentGrid

MAX_CLIPS = 10_000_000
LARGEST_SHARD_BYTES = 2**28
LINE = "{n_fmt}/{total_fmt}, {rate_fmt}, {remaining} left"
_log = logging.getLogger(__name__)
Facts = Sequence[SampleFacts | Rejection]


def encode(
    dataset: CheckedClips,
    folder: str,
    *,
    vae: str,
    audio_vae: str,
    mel: nn.Module,
    grid: LatentGrid | None = None,
    batch_size: int = 32,
    shard_size: int = 1024,
    num_workers: int = 0,
    timeout_seconds: float = 120,
    device: str = "cpu",
    mixed_precision: bool = False,
    precision: str = "float16",
    max_bad_fraction: float = 0.01,
    overwrite: bool = False,
    rank: int = 0,
    world_size: int = 1,
) -> list[SampleFacts]:
    """Fill the cache in `folder` with the latents of `dataset`; what is there is kept.

    Clips of other sizes and lengths, with sound or without, go to shards of their own. Of several
    processes each takes every `world_size`-th clip; the last one to end completes the cache.
    Returns, in each of them, what is known of all clips but those that could not even be opened.

    vae, audio_vae: folders of the autoencoders. Raises ValueError for a number out of its range,
    and for clips of another rate than the mel's; StaleCache if `folder` holds latents of other
    autoencoders, another mel, grid or precision, unless `overwrite`; TooManyBadFiles if more than
    `max_bad_fraction` of the clips are bad; ReadingFailed, which names the file, for a worker that
    is killed or hangs.
    """
    if not str(folder).strip():
        raise ValueError("folder is empty; give the folder of the cache, such as cache/clips")
    check_sizes(batch_size=batch_size, shard_size=shard_size)
    check_sizes(least=0, num_workers=num_workers)
    check_fractions(max_bad_fraction=max_bad_fraction)
    if len(dataset) > MAX_CLIPS:
        raise ValueError(f"the data hold {len(dataset):,} clips; a cache holds up to {MAX_CLIPS:,}")
    if overwrite and world_size > 1:
        raise ValueError("overwrite=true needs a single process; delete the folder instead")
    cache, grid = LatentCache(folder), grid or LatentGrid()
    writer = _ShardWriter(cache, shard_size, precision_of(precision))
    check_rates(mel, grid)
    spec = cache_spec(
        {"vae": vae, "audio_vae": audio_vae},
        precision=precision,
        mel=settings_of(mel),
        grid=settings_of(grid),
    )
    _prepare(cache, spec, overwrite=overwrite)
    # a second pass decodes; this one reads the files once, to know what is there already
    facts = [dataset.facts(index) for index in range(len(dataset))]
    todo = _missing(facts, cache, rank=rank, world_size=world_size)
    encoder = ClipEncoder.from_folders(vae, audio_vae, mel, grid).to(device)
    rejected = {
        index: one
        for index, one in enumerate(facts)
        if isinstance(one, Rejection) and index % world_size == rank
    }
    loader = ReportingLoader(
        _Indexed(dataset, facts),
        [todo[first : first + batch_size] for first in range(0, len(todo), batch_size)],
        num_workers=num_workers,
        timeout_seconds=timeout_seconds,
    )
    autocast = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=mixed_precision)
    bar = tqdm(total=len(todo), unit=" clips", **bar_arguments("encoding clips", line=LINE))
    with bar:
        for clips in _of_one_shape(loader, rejected, batch_size=batch_size):
            batch = ClipBatch.collate(clips)
            with autocast:
                latents = encoder(batch.to(device)).to("cpu")
            writer.add(latents, [facts[index].identity for index, _ in clips])  # type: ignore[union-attr]
            bar.update(len(clips))
    writer.flush()
    _write_rejected(cache.folder, facts, rejected, rank=rank)
    _complete(cache, facts, world_size=world_size, max_bad_fraction=max_bad_fraction)
    return [one for one in facts if isinstance(one, SampleFacts)]


def _prepare(cache: LatentCache, spec: dict[str, Any], *, overwrite: bool) -> None:
    if (cache.folder / "spec.json").is_file():
        try:
            found = cache.spec()
            if found == spec:
                return
            names = {"components": "other autoencoders", "precision": "another precision"}
            other = {"mel": "another mel", "grid": "another grid"} | names
            what = [text for name, text in other.items() if found.get(name) != spec[name]]
            raise StaleCache(
                f"{cache.folder} holds latents of {' and '.join(what)}; "
                "choose another folder, or overwrite=true"
            )
        except StaleCache:
            if not overwrite:
                raise
        shutil.rmtree(cache.folder)
    cache.write_spec(spec)


def _missing(facts: Facts, cache: LatentCache, *, rank: int, world_size: int) -> list[int]:
    """The clips of this process that no shard holds; of equal clips only the first."""
    made: set[str] = set()
    for shard in cache.shards():
        shard.check()
        made.update(shard.identities)
    missing = []
    for index, one in enumerate(facts):
        if isinstance(one, Rejection) or one.identity in made:
            continue
        made.add(one.identity)  # on every rank, so that equal clips are made by one of them
        if index % world_size == rank:
            missing.append(index)
    return missing


@dataclass(frozen=True)
class _Indexed:
    """Items with their indices, for a loader."""

    dataset: CheckedClips
    facts: Facts

    def __len__(self) -> int:
        return len(self.facts)

    def __getitem__(self, index: int) -> tuple[int, Sample | Rejection]:
        return index, self.dataset[index]

    def name_of(self, index: int) -> str:
        one = self.facts[index]
        return one.file if isinstance(one, Rejection) else one.key

    def collate(self, items: Sequence[Any]) -> Sequence[Any]:
        return items


def _of_one_shape(
    batches: Iterable[list[tuple[int, Sample | Rejection]]],
    rejected: dict[int, Rejection],
    *,
    batch_size: int,
) -> Iterator[list[tuple[int, Sample]]]:
    """Batches of clips of the same shapes; what is bad goes to `rejected`."""
    waiting: dict[object, list[tuple[int, Sample]]] = {}
    for index, sample in (item for batch in batches for item in batch):
        if isinstance(sample, Rejection):
            _log.warning("left out: %s", sample.message)
            rejected[index] = sample
            continue
        parts = sample.frames, sample.waveform
        shapes = tuple(None if part is None else part.shape for part in parts)
        waiting.setdefault(shapes, []).append((index, sample))
        if len(waiting[shapes]) == batch_size:
            yield waiting.pop(shapes)
    yield from waiting.values()


@dataclass
class _ShardWriter:
    """Latents as they come into shards of clips of one shape: when `shard_size` of them have come,
    or many bytes; `flush` writes what is left."""

    cache: LatentCache
    shard_size: int
    precision: torch.dtype
    parts: dict[object, list[tuple[ClipLatents, list[str]]]] = field(default_factory=dict)

    def add(self, latents: ClipLatents, identities: list[str]) -> None:
        shapes = tuple((name, part.shape[1:]) for name, part in latents.items())
        parts = self.parts.setdefault(shapes, [])
        parts.append((latents, identities))
        num_bytes = sum(part.nbytes for one, _ in parts for _, part in one.items())
        is_full = sum(len(some) for _, some in parts) >= self.shard_size
        if is_full or num_bytes >= LARGEST_SHARD_BYTES:
            self._write(self.parts.pop(shapes))

    def flush(self) -> None:
        for parts in self.parts.values():
            self._write(parts)
        self.parts.clear()

    def _write(self, parts: list[tuple[ClipLatents, list[str]]]) -> None:
        identities = [identity for _, some in parts for identity in some]
        latents = ClipLatents.cat([one for one, _ in parts])
        self.cache.write_shard(latents, identities, self.precision)


def _write_rejected(folder: Path, facts: Facts, bad: dict[int, Rejection], *, rank: int) -> None:
    """What one process left out of the cache, for the one that completes it."""
    rows = [{"index": index, **asdict(one)} for index, one in sorted(bad.items())]
    document = {"listing": _digest(facts), "clips": rows}
    write_checksummed(folder / f"rejected_{rank:03d}.json", document)


def _rejected(folder: Path, facts: Facts, *, world_size: int) -> dict[int, Rejection] | None:
    """What all processes left out; None while one of them has not ended."""
    bad: dict[int, Rejection] = {}
    for rank in range(world_size):
        path = folder / f"rejected_{rank:03d}.json"
        hint = "delete it and run `mmdiff encode` again"
        document = read_checksummed(path, hint=hint) if path.is_file() else {}
        if document.get("listing") != _digest(facts):
            return None
        for row in document["clips"]:
            index = row.pop("index")
            bad[index] = Rejection(**{**row, "reason": Reason(row["reason"])})
    return bad


def _digest(facts: Facts) -> str:
    return digest_of([one.file if isinstance(one, Rejection) else one.identity for one in facts])


def _complete(
    cache: LatentCache, facts: Facts, *, world_size: int, max_bad_fraction: float
) -> None:
    """Write the index, if no other process has still to end."""
    bad = _rejected(cache.folder, facts, world_size=world_size)
    made = {identity for shard in cache.shards() for identity in shard.identities}
    entries = [one for index, one in enumerate(facts) if index not in (bad or ())]
    clips = [one for one in entries if isinstance(one, SampleFacts) and one.identity in made]
    if bad is None or len(clips) < len(entries):
        _log.info("other processes still encode; the last one completes the cache")
        return
    # after all were encoded: a list that is repaired then finds the good clips made
    counts = Counter(one.reason for one in bad.values())
    if are_too_many(counts, len(facts), max_bad_fraction):
        names = [(one.file, one.reason) for one in bad.values()]
        raise too_many(names, len(facts), max_bad_fraction)
    cache.write_index(clips)
    _log.info("%d clips in %s, %d left out", len(clips), cache.folder, len(bad))
