"""The Lightning data module: one endless training loader, cut into equal parts over the ranks, and
a validation loader over what is held out of it."""

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from lightning.pytorch import LightningDataModule, Trainer

from mmdiff.data.bucket_order import BucketOrder
from mmdiff.data.held_out import HeldOutOrder, held_out
from mmdiff.data.loader import NumberedDataset, ReportingLoader, ResumableLoader
from mmdiff.data.order import EndlessOrder

_log = logging.getLogger(__name__)


class DataModule(LightningDataModule):
    """Endless, resumable batches of `dataset`; and for validation, each clip once, what is held out
    of it, or another one.

    dataset: samples by number. It may say its own `order(batch_size, seed=, rank=, world_size=)`,
        its `buckets` and their `probabilities`; a part of it can be held out where it has `keys()`,
        the names of its clips, and `subset(indices, is_held_out=)`.
    batch_size: global, the samples of one training step (of one accumulation step) over all ranks;
        or one for each bucket by name, where the dataset has clips of several types.
    probabilities: of the buckets, by name; None: those of the dataset, or by what they hold.
    val_fraction, val_clips: how much of the dataset is held out, as in `held_out`.
    val_dataset: what to validate on in place of a part of `dataset`.

    Give the trainer `use_distributed_sampler=False`. An epoch has no end, so that nothing depends
    on where it would be; where the trainer is asked for what is counted in epochs (`max_epochs`, a
    part of them as `limit_train_batches`), it is one pass over the dataset.
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
        val_fraction: float | None = None,
        val_clips: int | None = None,
        val_dataset: NumberedDataset | None = None,
    ) -> None:
        super().__init__()
        self.dataset, self.batch_size, self.seed = dataset, batch_size, seed
        self.probabilities = probabilities
        self.num_workers, self.timeout_seconds = num_workers, timeout_seconds
        self.pin_memory = pin_memory
        self.val_fraction, self.val_clips, self.val_dataset = val_fraction, val_clips, val_dataset
        if val_dataset is not None and (val_fraction is not None or val_clips is not None):
            raise ValueError(
                "data of their own are there to validate on; val_fraction and val_clips would hold "
                "out others: give one of them"
            )

    @cached_property
    def _parts(self) -> tuple[NumberedDataset, NumberedDataset | None]:
        """What is trained on, and what is validated on."""
        if self.val_fraction is None and self.val_clips is None:
            return self.dataset, self.val_dataset
        dataset: Any = self.dataset
        if not hasattr(dataset, "subset"):
            raise ValueError(
                f"{type(dataset).__name__} does not name its clips, so that none can be held "
                "out; give val_dataset"
            )
        keys = dataset.keys()
        out = held_out(keys, fraction=self.val_fraction, clips=self.val_clips)
        rest = sorted(set(range(len(keys))) - set(out))
        return dataset.subset(rest, is_held_out=False), dataset.subset(out, is_held_out=True)

    @property
    def train_set(self) -> NumberedDataset:
        return self._parts[0]

    @property
    def val_set(self) -> NumberedDataset | None:
        return self._parts[1]

    @property
    def modalities(self) -> set[str] | None:
        """What the clips have between them, where the datasets know."""
        known = [getattr(one, "modalities", None) or () for one in self._parts]
        return {name for names in known for name in names} or None

    def setup(self, stage: str) -> None:
        """Give what the trainer counts in epochs a meaning; take validation away where there is
        nothing to validate on."""
        trainer = self.trainer
        if trainer is None:
            return
        if self.val_set is None:
            trainer.limit_val_batches = 0
        if stage == "fit":
            count_in_passes(trainer, self.batches_per_pass)

    @property
    def batches_per_pass(self) -> int:
        """Global batches in one pass over what is trained on."""
        sizes = self.batch_size
        if isinstance(sizes, int):
            return max(1, len(self.train_set) // sizes)
        buckets = getattr(self.train_set, "buckets", {})
        return max(1, sum(len(buckets[name]) // sizes[name] for name in buckets if name in sizes))

    def train_dataloader(self) -> ResumableLoader:
        overfit = int(self.trainer.overfit_batches) if self.trainer else 0
        order = self.order(**self._place)
        return ResumableLoader(self.train_set, order, overfit_batches=overfit, **self._reading)

    def val_dataloader(self) -> ReportingLoader | list[Any]:
        if self.val_set is None:
            return []
        buckets = getattr(self.val_set, "buckets", None) or {"all": range(len(self.val_set))}
        size = self.batch_size
        # of what is held out a bucket may have few clips: its last batch is smaller
        smallest = size if isinstance(size, int) else min(size.values())
        order = HeldOutOrder(buckets, smallest, **self._place)
        return ReportingLoader(self.val_set, order, **self._reading)

    @property
    def _place(self) -> dict[str, int]:
        trainer = self.trainer
        rank, world_size = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        return {"rank": rank, "world_size": world_size}

    @property
    def _reading(self) -> dict[str, Any]:
        names = ("num_workers", "timeout_seconds", "pin_memory")
        return {name: getattr(self, name) for name in names}

    def order(self, *, rank: int, world_size: int) -> EndlessOrder | BucketOrder:
        """The order of the samples; ValueError where the dataset is smaller than a batch."""
        keyed = {"seed": self.seed, "rank": rank, "world_size": world_size}
        dataset: Any = self.train_set
        if hasattr(dataset, "order") and isinstance(self.batch_size, int):
            order: EndlessOrder | BucketOrder = dataset.order(self.batch_size, **keyed)
            return order
        buckets = getattr(dataset, "buckets", {})
        probabilities = self.probabilities or getattr(dataset, "probabilities", None)
        if isinstance(self.batch_size, int) and probabilities is None and len(buckets) < 2:
            return EndlessOrder(len(dataset), self.batch_size, **keyed)
        return BucketOrder(buckets, self.batch_size, probabilities=probabilities, **keyed)


def count_in_passes(trainer: Trainer, num_batches: int) -> None:
    """Numbers of the trainer that are parts of an epoch, or count epochs, as Lightning means them,
    where one pass over the data has `num_batches`.

    Lightning would take them of an endless epoch, and so do nothing. Validations lie where an
    optimizer step has ended.
    """
    if isinstance(trainer.overfit_batches, float) and trainer.overfit_batches > 0:
        trainer.overfit_batches = max(1, int(trainer.overfit_batches * num_batches))
    # to Lightning a float is a part of an epoch, a whole number counts batches
    limit = trainer.limit_train_batches
    max_epochs = trainer.fit_loop.max_epochs
    if trainer.overfit_batches:
        trainer.limit_train_batches = int(trainer.overfit_batches)
        trainer.limit_val_batches = trainer.limit_val_batches and int(trainer.overfit_batches)
    elif isinstance(limit, float) and (limit < 1 or (max_epochs is not None and max_epochs > 0)):
        trainer.limit_train_batches = max(1, int(limit * num_batches))
    is_endless = isinstance(trainer.limit_train_batches, float)
    every, accumulate = trainer.val_check_interval, trainer.accumulate_grad_batches
    if isinstance(every, float):
        length = num_batches if is_endless else int(trainer.limit_train_batches)
        every = max(1, int(every * length))
        if is_endless and trainer.check_val_every_n_epoch is not None:
            every *= trainer.check_val_every_n_epoch
    if isinstance(every, int):
        whole = -(-every // accumulate) * accumulate
        if whole != every and trainer.limit_val_batches:
            _log.info("validating every %d batches, after whole optimizer steps", whole)
        trainer.val_check_interval = whole
    if is_endless or every > trainer.limit_train_batches:  # counted through all epochs
        trainer.check_val_every_n_epoch = None
