"""The Lightning data module: one endless training loader, cut into equal parts over the ranks."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from lightning.pytorch import LightningDataModule

from mmdiff.data.buckets import BucketOrder
from mmdiff.data.loader import NumberedDataset, ResumableLoader
from mmdiff.data.order import EndlessOrder


@runtime_checkable
class OrderedDataset(Protocol):
    """A dataset that says itself in which order it is trained on."""

    def order(
        self, batch_size: int, *, seed: int, rank: int = 0, world_size: int = 1
    ) -> EndlessOrder | BucketOrder: ...


class DataModule(LightningDataModule):
    """Endless, resumable batches of `dataset`.

    batch_size: global, the samples of one training step (of one accumulation step) over all ranks;
        or one for each bucket by name, where the dataset has clips of several kinds.
    probabilities: of the buckets, by name; None: those of the dataset, or by what they hold.

    Give the trainer `use_distributed_sampler=False`.
    """

    def __init__(
        self,
        dataset: NumberedDataset,
        batch_size: int | Mapping[str, int],
        *,
        seed: int,
        probabilities: Mapping[str, float] | None = None,
        num_workers: int = 0,
        timeout_seconds: float = 120,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.probabilities = probabilities
        self.num_workers, self.timeout_seconds = num_workers, timeout_seconds
        self.pin_memory = pin_memory

    def train_dataloader(self) -> ResumableLoader:
        rank, world_size = (
            (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        )
        return ResumableLoader(
            self.dataset,
            self.order(rank=rank, world_size=world_size),
            num_workers=self.num_workers,
            timeout_seconds=self.timeout_seconds,
            pin_memory=self.pin_memory,
        )

    def order(self, *, rank: int, world_size: int) -> EndlessOrder | BucketOrder:
        """The order of the samples; ValueError where the dataset is smaller than a batch."""
        place = {"seed": self.seed, "rank": rank, "world_size": world_size}
        if isinstance(self.dataset, OrderedDataset) and isinstance(self.batch_size, int):
            return self.dataset.order(self.batch_size, **place)
        buckets = getattr(self.dataset, "buckets", {})
        probabilities = self.probabilities or getattr(self.dataset, "probabilities", None)
        if isinstance(self.batch_size, int) and probabilities is None and len(buckets) < 2:
            return EndlessOrder(len(self.dataset), self.batch_size, **place)
        return BucketOrder(buckets, self.batch_size, probabilities=probabilities, **place)
