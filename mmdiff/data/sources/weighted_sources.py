"""Several sources in one run, each with its share of the samples."""

from collections.abc import Mapping
from dataclasses import replace

from mmdiff.data.sources.listing import Listing, Source
from mmdiff.values.checks import check_weights


class WeightedSources:
    """Clips with sound, silent clips, sounds and stills from sources of any type.

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
        check_weights(above=True, **{f"weights.{n}": w for n, w in (weights or {}).items()})
        self.sources, self.weights = dict(sources), weights

    def listing(self) -> Listing:
        """All listings, one behind the other; ValueError for a source without clips."""
        listings = {name: source.listing() for name, source in self.sources.items()}
        for name, listing in listings.items():
            if not listing.entries:
                why = f"; the first: {listing.rejections[0].message}" if listing.rejections else ""
                raise ValueError(
                    f"source {name!r} has no clips, {len(listing.rejections)} are left out{why}"
                )
        weights = self.weights or {name: len(one.entries) for name, one in listings.items()}
        entries = (
            replace(entry, key=f"{name}/{entry.key}")
            for name, listing in listings.items()
            for entry in listing.entries
        )
        rejections = (
            replace(rejection, file=f"{name}/{rejection.file}")
            for name, listing in listings.items()
            for rejection in listing.rejections
        )
        # in the order of the entries, by which orders count where a source begins
        in_order = {name: float(weights[name]) for name in listings}
        return Listing(tuple(entries), tuple(rejections), in_order)
