"""BucketOrder: batches of clips that go together, from buckets of different types."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch.utils.data import Sampler

from mmdiff.data.order import check_batch_size, keyed_seed, shuffled


class BucketOrder(Sampler[list[int]]):
    """Batches of sample numbers without end, each from one bucket; batch n is a function of
    (seed, n) alone.

    Which bucket is drawn for each batch by `probabilities`; within a bucket, every epoch is a
    permutation of its own, and what does not fill the last batch of an epoch is left out of it.
    All ranks draw the same bucket and cut its global batch into equal parts, so none waits for
    another that has no more of it, whatever the number of buckets or ranks.

    Sample number k is clip `k % num_samples` in epoch `k // num_samples` of its bucket.

    buckets: indices of the clips by name of the bucket.
    batch_sizes: the global batch, or one for each bucket.
    probabilities: by name, in any unit; None: as many batches as each bucket holds.
    """

    def __init__(
        self,
        buckets: Mapping[str, Sequence[int]],
        batch_sizes: int | Mapping[str, int],
        *,
        seed: int,
        probabilities: Mapping[str, float] | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.buckets = {name: list(indices) for name, indices in buckets.items()}
        if isinstance(batch_sizes, int):
            batch_sizes = dict.fromkeys(buckets, batch_sizes)
        _check_names("batch_size", batch_sizes, buckets)
        self.batch_sizes = {name: int(batch_sizes[name]) for name in buckets}
        for name, size in self.batch_sizes.items():
            of = f"the bucket {name}"
            check_batch_size(len(buckets[name]), size, world_size=world_size, of=of)
        if probabilities is None:
            probabilities = {name: len(buckets[name]) // self.batch_sizes[name] for name in buckets}
        _check_names("probabilities", probabilities, buckets)
        total = sum(probabilities.values())
        if any(share < 0 for share in probabilities.values()) or not total > 0:
            raise ValueError(
                f"the probabilities of the buckets are {dict(probabilities)}; "
                "they must be 0 or more, and one of them above 0"
            )
        self.probabilities = {name: probabilities[name] / total for name in buckets}
        self.num_samples = sum(map(len, self.buckets.values()))
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.start_batch = 0

    def bucket(self, batch: int) -> str:
        """Which bucket batch number `batch` is taken from."""
        rest = keyed_seed("bucket", self.seed, batch) / 2**63
        for name, share in self.probabilities.items():
            rest -= share
            if rest < 0:
                return name
        return name

    def samples_before(self, batch: int) -> int:
        """Global samples of the first `batch` batches."""
        return sum(self.batch_sizes[self.bucket(index)] for index in range(batch))

    def batch_after(self, samples: int) -> int:
        """The batch that follows the first `samples` global samples; ValueError inside a batch."""
        batch, seen = 0, 0
        while seen < samples:
            seen += self.batch_sizes[self.bucket(batch)]
            batch += 1
        if seen != samples:
            raise ValueError(
                f"the checkpoint stands at sample {samples}, inside a batch; "
                "resume with the buckets and batch sizes it was trained with"
            )
        return batch

    def __iter__(self) -> Iterator[list[int]]:
        # counted from the beginning, so that one number is all that a checkpoint has to hold
        taken = dict.fromkeys(self.buckets, 0)
        for index in range(self.start_batch):
            taken[self.bucket(index)] += 1
        batch = self.start_batch
        epochs: dict[str, tuple[int, list[int]]] = {}  # the one of each bucket, while it lasts
        while True:
            name = self.bucket(batch)
            size = self.batch_sizes[name]
            epoch, index = divmod(taken[name], len(self.buckets[name]) // size)
            if epochs.get(name, (-1, []))[0] != epoch:
                indices = torch.tensor(self.buckets[name])
                order = shuffled(len(indices), "order", self.seed, name, epoch)
                epochs[name] = epoch, (indices[order] + epoch * self.num_samples).tolist()
            part = size // self.world_size
            start = index * size + self.rank * part
            yield epochs[name][1][start : start + part]
            taken[name] += 1
            batch += 1


def _check_names(what: str, given: Mapping[str, object], buckets: Mapping[str, object]) -> None:
    if set(given) != set(buckets):
        raise ValueError(
            f"{what} names the buckets {sorted(given)}, and the data set has "
            f"{sorted(buckets)}; name each of them"
        )
