"""The Lightning data module: one endless training loader, cut into equal parts over the ranks."""

from lightning.pytorch import LightningDataModule

from mmdiff.data.loader import NumberedDataset, ResumableLoader
from mmdiff.data.order import EndlessOrder


class DataModule(LightningDataModule):
    """Endless, resumable batches of `dataset`.

    `batch_size` is global: the samples of one training step (of one accumulation step) over all
    ranks. Give the trainer `use_distributed_sampler=False`.
    """

    def __init__(
        self,
        dataset: NumberedDataset,
        batch_size: int,
        *,
        seed: int,
        num_workers: int = 0,
        timeout_seconds: float = 120,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.num_workers, self.timeout_seconds = num_workers, timeout_seconds
        self.pin_memory = pin_memory

    def train_dataloader(self) -> ResumableLoader:
        rank, world_size = (
            (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        )
        order = EndlessOrder(
            len(self.dataset), self.batch_size, seed=self.seed, rank=rank, world_size=world_size
        )
        return ResumableLoader(
            self.dataset,
            order,
            num_workers=self.num_workers,
            timeout_seconds=self.timeout_seconds,
            pin_memory=self.pin_memory,
        )
