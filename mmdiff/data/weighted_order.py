"""The endless order over several sources, each taking its share of the samples."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import floor

import torch

from mmdiff.data.order import EndlessOrder, keyed_seed


class WeightedOrder(EndlessOrder):
    """Batches of sample numbers from sources that lie one behind the other in a dataset.

    An epoch has as many batches as in `EndlessOrder`; source s takes `weights[s] / sum(weights)`
    of its samples, rounded so that the shares are exact over all epochs together. A source goes
    through permutations of its own, each item once before any comes again, and goes on in the next
    epoch where it stopped. So batch n is a function of (seed, n) alone, as in `EndlessOrder`, and
    so is sample number k, which is item `k % num_samples` for the `k // num_samples`-th time.

    counts    number of items of each source; item i of source s is item `sum(counts[:s]) + i`
    weights   a share above 0 for each source, of any sum
    """

    def __init__(
        self,
        counts: Sequence[int],
        weights: Sequence[float],
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(sum(counts), batch_size, seed=seed, rank=rank, world_size=world_size)
        if len(counts) != len(weights):
            raise ValueError(f"there are {len(counts)} counts and {len(weights)} weights")
        self.counts, self.weights = tuple(counts), tuple(weights)
        self._draws = self.batches_per_epoch * batch_size
        shares = _shares(self.weights)
        self._cuts = tuple(accumulate(shares, initial=Fraction(0)))
        for source, share in enumerate(shares):
            if not counts[source]:
                raise ValueError(f"source {source} is empty; leave it out of the mixture")
            if share * self._draws < 1:
                least = sum(self.weights) / self._draws
                raise ValueError(
                    f"weights[{source}] is {self.weights[source]:g}, less than one sample in an "
                    f"epoch of {self._draws}; give at least {least:.3g}, or leave the source out"
                )

    def epoch(self, epoch: int) -> list[int]:
        """Sample numbers of one epoch, in order."""
        numbers: list[int] = []
        for source in range(len(self.counts)):
            first, last = self._taken(source, epoch), self._taken(source, epoch + 1)
            numbers += self._visits(source, first, last)
        generator = torch.Generator().manual_seed(keyed_seed("mixture", self.seed, epoch))
        places = torch.randperm(len(numbers), generator=generator).tolist()
        return [numbers[place] for place in places]

    def _taken(self, source: int, epoch: int) -> int:
        """Samples that a source has given before an epoch: rounded cuts of one line, so that the
        sources together have always given all."""
        line = self._draws * epoch
        return floor(self._cuts[source + 1] * line) - floor(self._cuts[source] * line)

    def _visits(self, source: int, first: int, last: int) -> list[int]:
        """Sample numbers of visits `first` to `last` of a source."""
        count, offset = self.counts[source], sum(self.counts[:source])
        found: list[int] = []
        for turn in range(first // count, -(-last // count)):
            key = keyed_seed("source order", self.seed, source, turn)
            items = torch.randperm(count, generator=torch.Generator().manual_seed(key))
            inside = items[max(first - turn * count, 0) : last - turn * count]
            found += (inside + offset + turn * self.num_samples).tolist()
        return found


def _shares(weights: Sequence[float]) -> list[Fraction]:
    if not all(0 < weight < float("inf") for weight in weights):
        raise ValueError(f"weights are {list(weights)}; each must be a number above 0")
    whole = sum(map(Fraction, weights), Fraction(0))
    return [Fraction(weight) / whole for weight in weights]
