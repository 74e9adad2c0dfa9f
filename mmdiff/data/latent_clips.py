"""Cached latents behind the endless order, with captions drawn anew each time."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mmdiff.data.batch import LatentBatch
from mmdiff.data.checksummed_json import StaleCache, digest_of
from mmdiff.data.context_cache import ContextCache
from mmdiff.data.latent_cache import LatentCache, Shard
from mmdiff.data.order import keyed_seed
from mmdiff.data.sources.listing import source_of
from mmdiff.values.file_path import FilePath
from mmdiff.values.latents import MODALITIES, ClipLatents, Modality
from mmdiff.values.sample import SampleFacts

CaptionDraw = Callable[[str, Generator], str]


@dataclass(frozen=True)
class LatentClip:
    """One clip of the cache: its number in the endless order, its latents, its caption of this
    time."""

    number: int
    latents: Mapping[str, Tensor]
    caption: str


class LatentClips:
    """The latents of a cache, read from its shards when asked for.

    `captions(key, generator)` draws the caption of a clip, each time from (seed, number in the
    order); without it the stored caption is used. `components` are the folders of the autoencoders
    that must have made the cache; None is not checked. `modalities` are read; clips that have none
    of them are an error.

    weights: shares of the batches by source, where several filled the cache: the name of its source
        stands before the key of each clip. Buckets are then of one source each.
    contexts: the captions as a frozen text encoder read them, handed out with the latents.
    buckets: the clips by the shapes of their latents, for `BucketOrder`.
    probabilities: of the buckets, where there are weights.
    modalities: what the clips have between them.
    fingerprint: of what the latents depend on, and of the clips; a run is resumed on the same ones.
    """

    def __init__(
        self,
        folder: FilePath,
        *,
        components: dict[str, FilePath | None] | None = None,
        captions: CaptionDraw | None = None,
        seed: int = 0,
        modalities: Sequence[str] = MODALITIES,
        weights: Mapping[str, float] | None = None,
        contexts: ContextCache | None = None,
    ) -> None:
        cache = LatentCache(folder)
        cache.check_components({name: path for name, path in (components or {}).items() if path})
        self.entries: list[SampleFacts] = cache.entries()
        self._read = tuple(modalities)
        self.captions, self.seed, self.contexts = captions, seed, contexts
        self.weights = weights
        self.shards: list[Shard] = []
        self._spec = digest_of(cache.spec())
        self._rows = self._find(cache)
        self._sort()

    def keys(self) -> Sequence[str]:
        return [entry.key for entry in self.entries]

    def subset(self, indices: Sequence[int], *, is_held_out: bool) -> "LatentClips":
        """These clips alone; held out, with the captions of the cache: the same ones each time."""
        part = copy(self)
        part.entries = [self.entries[index] for index in indices]
        part._rows = [self._rows[index] for index in indices]
        part.weights = None if is_held_out else self.weights
        part.captions = None if is_held_out else self.captions
        part._sort()
        return part

    def _sort(self) -> None:
        """Put the clips into buckets."""
        self.buckets: dict[str, list[int]] = {}
        self.modalities: set[Modality] = set()
        for index, (shard, _) in enumerate(self._rows):
            self.buckets.setdefault(self._bucket(self.shards[shard], index), []).append(index)
        self.probabilities: dict[str, float] | None = None
        if (weights := self.weights) is not None:
            counts = Counter(source_of(entry.key) for entry in self.entries)
            if set(weights) != set(counts):
                raise ValueError(
                    f"weights are of {', '.join(sorted(weights))}, and the sources of the cache "
                    f"are {', '.join(sorted(counts))}; name each of them"
                )
            # the weight of a source is shared by what its buckets hold
            self.probabilities = {
                name: weights[source_of(name)] * len(indices) / counts[source_of(name)]
                for name, indices in self.buckets.items()
            }
        rows = [[entry.key, entry.caption, entry.identity] for entry in self.entries]
        digests = sorted(shard.sha256 for shard in self.shards)
        self.fingerprint = {"latents": self._spec, "clips": digest_of(rows, digests)}

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, number: int) -> LatentClip:
        index = number % len(self.entries)
        entry, (shard, row) = self.entries[index], self._rows[index]
        parts = self.shards[shard].row(row).items()
        latents = {name: part for name, part in parts if name in self._read}
        if self.captions is None:
            return LatentClip(number, latents, entry.caption)
        generator = Generator().manual_seed(keyed_seed("caption", self.seed, number))
        return LatentClip(number, latents, self.captions(entry.key, generator))

    def name_of(self, number: int) -> str:
        """Key and shard of a sample, for messages."""
        index = number % len(self.entries)
        return f"{self.entries[index].key} in {self.shards[self._rows[index][0]].path}"

    def collate(self, items: Sequence[LatentClip]) -> LatentBatch:
        latents = {
            name: torch.stack([item.latents[name] for item in items]) for name in items[0].latents
        }
        captions = tuple(item.caption for item in items)
        return LatentBatch(
            latents=ClipLatents.of(latents),
            captions=captions,
            sample_ids=tuple(item.number for item in items),
            context=None if self.contexts is None else self.contexts.context(captions),
        )

    def _find(self, cache: LatentCache) -> list[tuple[int, int]]:
        """Shard and row of every clip; StaleCache for a damaged shard or latents that are gone."""
        rows: dict[str, tuple[int, int]] = {}
        for index, shard in enumerate(cache.shards()):
            shard.check()  # once a run: half a second for a gigabyte
            rows.update({identity: (index, row) for row, identity in enumerate(shard.identities)})
            self.shards.append(shard)
        lost = [entry.key for entry in self.entries if entry.identity not in rows]
        if lost:
            raise StaleCache(
                f"{cache.folder} lacks the latents of {len(lost)} clips, {lost[0]!r} first; "
                "run `mmdiff encode` again"
            )
        return [rows[entry.identity] for entry in self.entries]

    def _bucket(self, shard: Shard, index: int) -> str:
        """Its name, which keys the order of its clips: the latent frames, rows and columns, and the
        frames of sound."""
        shapes = {name: shape for name, shape in shard.shapes.items() if name in self._read}
        if not shapes:
            raise ValueError(
                f"{self.entries[index].key!r} has {' and '.join(shard.shapes)} alone, and "
                f"{' and '.join(self._read)} is asked for; leave such clips out"
            )
        self.modalities.update(name for name in MODALITIES if name in shapes)
        names = []
        if "video" in shapes:
            names.append("x".join(map(str, shapes["video"][1:])))
        if "audio" in shapes:
            names.append(f"sound{shapes['audio'][1]}")
        name = "+".join(names)
        return name if self.weights is None else f"{source_of(self.entries[index].key)}/{name}"
