"""The order of training samples: a pure function of the seed, endless, entered at any place."""

import hashlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from math import floor

import torch
from torch.utils.data import Sampler


def keyed_seed(*key: int | str) -> int:
    """63 bits that depend on every part of `key` and on nothing else."""
    # by repr, in which 1 and "1" differ; not by hash(), which differs from process to process
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1  # seeds of torch are signed


def shuffled(count: int, *key: int | str) -> torch.Tensor:
    """A permutation of 0 to count - 1 that depends on `key` alone."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(keyed_seed(*key)))


class EndlessOrder(Sampler[list[int]]):
    """Batches of sample numbers without end; batch n is a function of (seed, n) alone.

    Sample number k is item `k % num_samples` of epoch `k // num_samples`; each epoch is a
    permutation of its own, from (seed, epoch). What does not fill the last batch of an epoch is
    left out of that epoch. All ranks cut the same global batch of `batch_size` samples into equal
    parts, so the world size does not change what is trained on.
    """

    def __init__(
        self, num_samples: int, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        check_batch_size(num_samples, batch_size, world_size=world_size)
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed
        self.rank, self.world_size = rank, world_size
        self.start_batch = 0

    @property
    def batches_per_epoch(self) -> int:
        return self.num_samples // self.batch_size

    def samples_before(self, batch: int) -> int:
        """Global samples of the first `batch` batches."""
        return batch * self.batch_size

    def batch_after(self, samples: int) -> int:
        """The batch that follows the first `samples` global samples; ValueError inside a batch."""
        batch, rest = divmod(samples, self.batch_size)
        if rest:
            raise ValueError(
                f"the checkpoint stands at sample {samples}, inside a batch of "
                f"{self.batch_size}; "
                "resume with the batch_size it was trained with, or one that divides this number"
            )
        return batch

    def epoch(self, epoch: int) -> list[int]:
        """Sample numbers of one epoch, in order."""
        items = shuffled(self.num_samples, "order", self.seed, epoch)
        return (items + epoch * self.num_samples).tolist()

    def __iter__(self) -> Iterator[list[int]]:
        epoch, first = divmod(self.start_batch, self.batches_per_epoch)
        part = self.batch_size // self.world_size
        while True:
            numbers = self.epoch(epoch)  # the same on every rank, which takes its own part of it
            for batch in range(first, self.batches_per_epoch):
                start = batch * self.batch_size + self.rank * part
                yield numbers[start : start + part]
            epoch, first = epoch + 1, 0


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
        self, counts: Sequence[int], weights: Sequence[float], batch_size: int, **keyed: int
    ) -> None:
        super().__init__(sum(counts), batch_size, **keyed)
        self.counts = tuple(counts)
        self._draws = self.batches_per_epoch * batch_size
        # exact: with floats, shares would drift apart over the epochs of a long run
        whole = sum(map(Fraction, weights), Fraction(0))
        shares = [Fraction(weight) / whole for weight in weights]
        self._cuts = tuple(accumulate(shares, initial=Fraction(0)))
        for source, (count, share) in enumerate(zip(counts, shares, strict=True)):
            if not count:
                raise ValueError(f"source {source} is empty; leave it out of the mixture")
            if share * self._draws < 1:
                raise ValueError(
                    f"weights[{source}] is {weights[source]:g}, less than one sample in an epoch "
                    f"of {self._draws}; give at least {sum(weights) / self._draws:.3g}, or leave "
                    "the source out"
                )

    def epoch(self, epoch: int) -> list[int]:
        """Sample numbers of one epoch, in order."""
        numbers: list[int] = []
        for source in range(len(self.counts)):
            first, last = self._taken(source, epoch), self._taken(source, epoch + 1)
            numbers += self._visits(source, first, last)
        order = shuffled(len(numbers), "mixture", self.seed, epoch)
        return [numbers[index] for index in order.tolist()]

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
            items = shuffled(count, "source order", self.seed, source, turn)
            inside = items[max(first - turn * count, 0) : last - turn * count]
            found += (inside + offset + turn * self.num_samples).tolist()
        return found


def check_batch_size(
    num_samples: int, batch_size: int, *, world_size: int, of: str = "the dataset"
) -> None:
    """ValueError unless the global batch can be cut into equal parts and is not more than all."""
    if batch_size < 1 or batch_size % world_size:
        nearest = max(1, round(batch_size / world_size)) * world_size
        raise ValueError(
            f"batch_size is {batch_size}; it is the global batch and is cut into "
            f"{world_size} equal parts: {nearest}"
        )
    if num_samples < batch_size:
        raise ValueError(
            f"{of} has {num_samples} samples, fewer than one batch of {batch_size}; "
            f"set data.batch_size to at most {max(num_samples, 0) // world_size * world_size}"
        )
