"""The order of training samples: a pure function of the seed, endless, entered at any place."""

import hashlib
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


def keyed_seed(*key: int | str) -> int:
    """63 bits that depend on every part of `key` and on nothing else."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


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
        generator = torch.Generator().manual_seed(keyed_seed("order", self.seed, epoch))
        items = torch.randperm(self.num_samples, generator=generator)
        return (items + epoch * self.num_samples).tolist()

    def __iter__(self) -> Iterator[list[int]]:
        epoch, first = divmod(self.start_batch, self.batches_per_epoch)
        part = self.batch_size // self.world_size
        while True:
            numbers = self.epoch(epoch)
            for batch in range(first, self.batches_per_epoch):
                start = batch * self.batch_size + self.rank * part
                yield numbers[start : start + part]
            epoch, first = epoch + 1, 0


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
