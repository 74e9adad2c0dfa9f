"""ShardWriter: latents as they come, of all shapes, into shards of clips that are alike."""

from dataclasses import dataclass, field

import torch

from mmdiff.data.latent_cache import LatentCache
from mmdiff.values.latents import ClipLatents

LARGEST_SHARD_BYTES = 2**28
Shapes = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass
class ShardWriter:
    """Writes a shard when `shard_size` clips of the same shapes have come, or many bytes of them;
    `flush` writes what is left."""

    cache: LatentCache
    shard_size: int
    precision: torch.dtype
    parts: dict[Shapes, list[ClipLatents]] = field(default_factory=dict)
    identities: dict[Shapes, list[str]] = field(default_factory=dict)

    def add(self, latents: ClipLatents, identities: list[str]) -> None:
        halves = [(name, latents.get(name)) for name in latents.modalities]
        shapes = tuple((name, tuple(half.shape[1:])) for name, half in halves if half is not None)
        parts = self.parts.setdefault(shapes, [])
        parts.append(latents)
        self.identities.setdefault(shapes, []).extend(identities)
        if (
            len(self.identities[shapes]) >= self.shard_size
            or sum(map(_bytes, parts)) >= LARGEST_SHARD_BYTES
        ):
            self._write(shapes)

    def flush(self) -> None:
        for shapes in list(self.parts):
            self._write(shapes)

    def _write(self, shapes: Shapes) -> None:
        latents = ClipLatents.cat(self.parts.pop(shapes))
        self.cache.write_shard(latents, self.identities.pop(shapes), self.precision)


def _bytes(latents: ClipLatents) -> int:
    return sum(
        half.nbytes for name in latents.modalities if (half := latents.get(name)) is not None
    )
