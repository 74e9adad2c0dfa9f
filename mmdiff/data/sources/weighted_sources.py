"""Several sources in one run, each with its share of the samples."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from mmdiff.data.sources.clip_entry import Listing, Source
from mmdiff.data.weighted_order import WeightedOrder


@dataclass(frozen=True)
class Mixture:
    """Listings one behind the other.

    listing   all entries; the name of its source stands before each key
    names     of the sources, in the order of their entries
    counts    entries of each source
    weights   shares of the samples, of any sum
    """

    listing: Listing
    names: tuple[str, ...]
    counts: tuple[int, ...]
    weights: tuple[float, ...]

    def subset(self, indices: Sequence[int], listing: Listing) -> "Mixture":
        """With the entries at `indices` alone, which `listing` holds; the shares stay."""
        ends = list(accumulate(self.counts))
        found = Counter(bisect_right(ends, index) for index in indices)
        counts = tuple(found[source] for source in range(len(ends)))
        return replace(self, listing=listing, counts=counts)

    def order(
        self, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> WeightedOrder:
        """The endless order that takes samples by weight; `batch_size` is the global one."""
        self.listing.require(batch_size, name=f"the mixture of {', '.join(self.names)}")
        return WeightedOrder(
            self.counts, self.weights, batch_size, seed=seed, rank=rank, world_size=world_size
        )


class WeightedSources:
    """Clips with sound, silent clips, sounds and stills from sources of any kind.

    sources   by name; the name stands before the keys of a source
    weights   by the same names; without them a source counts as much as it has clips
    """

    def __init__(
        self, sources: Mapping[str, Source], weights: Mapping[str, float] | None = None
    ) -> None:
        if not sources:
            raise ValueError("sources is empty; give at least one, by name")
        bad = [name for name in sources if not name or "/" in name]
        if bad:
            raise ValueError(f"sources has the name {bad[0]!r}; a name is not empty and has no /")
        unlike = sorted(set(sources) ^ set(weights)) if weights is not None else []
        if unlike:
            raise ValueError(
                f"sources are {', '.join(sources)} and weights are {', '.join(weights or {})}; "
                f"{', '.join(unlike)} is in one only"
            )
        for name, weight in (weights or {}).items():
            if not 0 < weight < float("inf"):
                raise ValueError(f"the weight of {name} is {weight}; it must be above 0")
        self.sources, self.weights = dict(sources), weights

    def listing(self) -> Listing:
        return self.mixture().listing

    def mixture(self) -> Mixture:
        """All listings with their weights; ValueError for a source without clips."""
        listings = {name: source.listing() for name, source in self.sources.items()}
        for name, listing in listings.items():
            listing.require(1, name=f"source {name!r}")
        counts = tuple(len(listing.entries) for listing in listings.values())
        given = self.weights
        weights = counts if given is None else tuple(given[name] for name in listings)
        return Mixture(_joined(listings), tuple(listings), counts, tuple(map(float, weights)))


def _joined(listings: Mapping[str, Listing]) -> Listing:
    entries = tuple(
        replace(entry, key=f"{name}/{entry.key}")
        for name, listing in listings.items()
        for entry in listing.entries
    )
    rejections = tuple(
        replace(rejection, file=f"{name}/{rejection.file}")
        for name, listing in listings.items()
        for rejection in listing.rejections
    )
    return Listing(entries, rejections)
