"""A loader whose position is one integer, so that a resumed run continues with the very next
sample."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from torch.utils.data import DataLoader

from mmdiff.data.files.reading_watch import legal_timeout, watched
from mmdiff.data.worker_signals import heed_only_the_loader

ENDLESS = (
    10**9
)  # batches; a length keeps Lightning from fetching one batch ahead of the saved position


class NumberedDataset(Protocol):
    """What the loader needs: samples by number in the endless order, and how to make a batch of
    some."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Any: ...

    def collate(self, items: Sequence[Any]) -> Any: ...


class Order(Protocol):
    """Endless batches of sample numbers that can be entered at any place."""

    start_batch: int

    def __iter__(self) -> Iterator[list[int]]: ...

    def samples_before(self, batch: int) -> int: ...

    def batch_after(self, samples: int) -> int: ...


class ResumableLoader(DataLoader[Any]):
    """Endless batches in the order of `order`; the state counts global samples handed out, not
    those prefetched."""

    def __init__(
        self,
        dataset: NumberedDataset,
        order: Order,
        *,
        num_workers: int = 0,
        timeout_seconds: float = 120,
        pin_memory: bool = False,
    ) -> None:
        collate: Callable[[Sequence[Any]], Any] = dataset.collate
        super().__init__(
            dataset,  # type: ignore[arg-type]
            batch_sampler=order,  # type: ignore[arg-type]
            num_workers=num_workers,
            collate_fn=collate,
            timeout=legal_timeout(timeout_seconds) * bool(num_workers),
            pin_memory=pin_memory,
            worker_init_fn=heed_only_the_loader,
        )
        self._order = order
        self._batches = 0

    def __len__(self) -> int:
        return ENDLESS

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self._order.start_batch = self._batches
        for batch in watched(super().__iter__(), self.dataset):
            self._batches += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        return {"samples": self._order.samples_before(self._batches)}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after `samples` global samples; ValueError if that is not a whole number of
        batches."""
        self._batches = self._order.batch_after(state["samples"])
