"""The order of clips of several kinds: each batch of one, and of one source where they have
weights."""

from collections.abc import Mapping

from mmdiff.data.buckets import BucketOrder
from mmdiff.data.files.clip_kinds import Kind
from mmdiff.data.sources.weighted_sources import Mixture


def kinds_order(
    kinds: Mapping[Kind, list[int]],
    batch_size: int,
    *,
    mixture: Mixture | None,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
) -> BucketOrder:
    """ValueError, with the cures, where a kind has fewer clips than the global batch."""
    buckets = {str(kind): indices for kind, indices in kinds.items()}
    probabilities = None
    if mixture is not None:
        buckets, probabilities = _of_sources(buckets, mixture)
    fewest = min(buckets, key=lambda name: len(buckets[name]))
    if len(buckets[fewest]) < batch_size:
        counts = ", ".join(f"{len(indices)} {name}" for name, indices in buckets.items())
        raise ValueError(
            f"the clips are of several kinds ({counts}), a batch is of one, and batch_size is "
            f"{batch_size}. data.spec.sound=ignored (or picture=ignored) trains on the other half "
            "alone, sound=required leaves clips without it out, stills=dropped images; or set "
            f"data.batch_size to at most {len(buckets[fewest])}"
        )
    return BucketOrder(
        buckets,
        batch_size,
        probabilities=probabilities,
        seed=seed,
        rank=rank,
        world_size=world_size,
    )


def _of_sources(
    buckets: Mapping[str, list[int]], mixture: Mixture
) -> tuple[dict[str, list[int]], dict[str, float]]:
    """Each bucket cut into those of the sources, with the shares that keep their weights."""
    found: dict[str, list[int]] = {}
    shares: dict[str, float] = {}
    first = 0
    for source, count, weight in zip(mixture.names, mixture.counts, mixture.weights, strict=True):
        for kind, indices in buckets.items():
            inside = [index for index in indices if first <= index < first + count]
            if inside:
                found[f"{source}/{kind}"] = inside
                shares[f"{source}/{kind}"] = weight * len(inside) / count
        first += count
    return found, shares
