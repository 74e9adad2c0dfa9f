"""Fills a latent cache: clips -> autoencoders -> latents of unit variance, resumed where it
stopped, by one process or several."""

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdiff.data.bad_clips import LACKING, are_too_many, too_many
from mmdiff.data.batch import ClipBatch
from mmdiff.data.clip_encoder import ClipEncoder, check_rates
from mmdiff.data.clips import CheckedClips
from mmdiff.data.latent_cache import LatentCache, cache_spec, precision_of, settings_of
from mmdiff.data.rejected_clips import RejectedClips
from mmdiff.data.sealed_json import StaleCache
from mmdiff.data.shard_writer import ShardWriter
from mmdiff.data.watched_clips import WatchedClips, read_clips
from mmdiff.media.rejection import Rejection
from mmdiff.values.checks import check_fractions
from mmdiff.values.sample import Sample, SampleFacts
from mmdiff.values.shapes import LatentGrid

MAX_CLIPS = 10_000_000
_log = logging.getLogger(__name__)
Shapes = tuple[tuple[int, ...] | None, tuple[int, ...] | None]


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
    _check_numbers(folder, batch_size, shard_size, num_workers, max_bad_fraction)
    if len(dataset) > MAX_CLIPS:
        raise ValueError(f"the data hold {len(dataset):,} clips; a cache holds up to {MAX_CLIPS:,}")
    cache = LatentCache(folder)
    kept, grid = precision_of(precision), grid or LatentGrid()
    check_rates(mel, grid)
    if overwrite and world_size > 1:
        raise ValueError("overwrite=true needs a single process; delete the folder instead")
    spec = cache_spec(
        {"vae": vae, "audio_vae": audio_vae},
        precision=precision,
        mel=settings_of(mel),
        grid=settings_of(grid),
    )
    _prepare(cache, spec, overwrite=overwrite)
    facts = [dataset.facts(index) for index in range(len(dataset))]
    todo = _missing(facts, cache, rank=rank, world_size=world_size)
    encoder = ClipEncoder.from_folders(vae, audio_vae, mel, grid).to(device)
    rejected = RejectedClips.of(facts, rank=rank, world_size=world_size)
    writer = ShardWriter(cache, shard_size=shard_size, precision=kept)
    reader = read_clips(
        WatchedClips(dataset, todo, [_name_of(facts[index]) for index in todo]),
        batch_size=batch_size,
        num_workers=num_workers,
        timeout_seconds=timeout_seconds,
    )
    clock = _Clock(len(todo))
    for clips in _alike(reader, rejected, batch_size=batch_size):
        batch = ClipBatch.collate(clips)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=mixed_precision):
            latents = encoder(batch.to(device)).to("cpu")
        writer.add(latents, [facts[index].identity for index, _ in clips])  # type: ignore[union-attr]
        clock.tell(len(clips))
    writer.flush()
    rejected.write(cache.folder)
    _complete(cache, facts, world_size=world_size, max_bad_fraction=max_bad_fraction)
    return [one for one in facts if isinstance(one, SampleFacts)]


def _prepare(cache: LatentCache, spec: dict[str, object], *, overwrite: bool) -> None:
    if (cache.folder / "spec.json").is_file():
        try:
            if cache.spec() == spec:
                return
            raise StaleCache(
                f"{cache.folder} holds latents of {_other(cache.spec(), spec)}; "
                "choose another folder, or overwrite=true"
            )
        except StaleCache:
            if not overwrite:
                raise
        shutil.rmtree(cache.folder)
    cache.write_spec(spec)


def _other(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """What differs, in words."""
    names = {"components": "other autoencoders", "precision": "another precision"}
    other = {"mel": "another mel", "grid": "another grid"} | names
    return " and ".join(text for name, text in other.items() if found.get(name) != wanted[name])


def _check_numbers(
    folder: str, batch_size: int, shard_size: int, num_workers: int, max_bad_fraction: float
) -> None:
    if not str(folder).strip():
        raise ValueError("folder is empty; give the folder of the cache, such as cache/clips")
    least = {"batch_size": (batch_size, 1), "shard_size": (shard_size, 1)}
    for name, (value, smallest) in (least | {"num_workers": (num_workers, 0)}).items():
        if value < smallest:
            raise ValueError(f"{name} is {value}; it must be at least {smallest}")
    check_fractions(max_bad_fraction=max_bad_fraction)


def _missing(
    facts: Sequence[SampleFacts | Rejection], cache: LatentCache, *, rank: int, world_size: int
) -> list[int]:
    """The clips of this process that no shard holds; of equal clips only the first."""
    made: set[str] = set()
    for shard in cache.shards():
        shard.check()
        made.update(shard.identities)
    missing = []
    for index, one in enumerate(facts):
        if isinstance(one, Rejection) or one.identity in made:
            continue
        made.add(one.identity)
        if index % world_size == rank:
            missing.append(index)
    return missing


def _name_of(facts: SampleFacts | Rejection) -> str:
    return facts.file if isinstance(facts, Rejection) else facts.key


def _alike(
    items: Iterator[tuple[int, Sample | Rejection]], rejected: RejectedClips, *, batch_size: int
) -> Iterator[list[tuple[int, Sample]]]:
    """Batches of clips of the same shapes; what is bad goes to `rejected`."""
    waiting: dict[Shapes, list[tuple[int, Sample]]] = {}
    for index, sample in items:
        if isinstance(sample, Rejection):
            _log.warning("left out: %s", sample.message)
            rejected.add(index, sample)
            continue
        batch = waiting.setdefault((_shape(sample.frames), _shape(sample.waveform)), [])
        batch.append((index, sample))
        if len(batch) == batch_size:
            yield list(batch)
            batch.clear()
    yield from (batch for batch in waiting.values() if batch)


def _shape(half: Tensor | None) -> tuple[int, ...] | None:
    return None if half is None else tuple(half.shape)


def _complete(
    cache: LatentCache,
    facts: Sequence[SampleFacts | Rejection],
    *,
    world_size: int,
    max_bad_fraction: float,
) -> None:
    """Write the index, if no other process has still to end."""
    bad = RejectedClips.read_all(cache.folder, facts, world_size=world_size)
    if bad is None:
        _log.info("other processes still encode; the last one completes the cache")
        return
    made = {identity for shard in cache.shards() for identity in shard.identities}
    entries = [one for index, one in enumerate(facts) if index not in bad]
    if any(isinstance(one, Rejection) or one.identity not in made for one in entries):
        _log.info("other processes still encode; the last one completes the cache")
        return
    num_lacking = sum(one.reason in LACKING for one in bad.values())
    if are_too_many(len(bad), num_lacking, len(facts), max_bad_fraction):
        names = [(one.file, one.reason) for one in bad.values()]
        raise too_many(names, len(facts), max_bad_fraction)
    cache.write_index([one for one in entries if isinstance(one, SampleFacts)])
    _log.info("%d clips in %s, %d left out", len(entries), cache.folder, len(bad))


class _Clock:
    def __init__(self, total: int, every_seconds: float = 10.0) -> None:
        self.total, self.done, self.every_seconds = total, 0, every_seconds
        self.start = self.told = time.monotonic()

    def tell(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if now - self.told < self.every_seconds and self.done < self.total:
            return
        self.told = now
        rate = self.done / (now - self.start)
        left = (self.total - self.done) / rate / 60
        _log.info("%d/%d clips, %.1f clips/s, %.1f min left", self.done, self.total, rate, left)
