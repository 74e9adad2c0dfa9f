"""Loaders that say what their workers were reading; that of training resumes with the very next
sample."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from torch.utils.data import DataLoader

from mmdiff.data.files.reading_watch import (
    WatchedNumbers,
    file_clips_of,
    legal_timeout,
    watched,
)
from mmdiff.data.sealed_json import StaleCache
from mmdiff.data.worker_signals import heed_only_the_loader

_log = logging.getLogger(__name__)

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


class WatchedLoader(DataLoader[Any]):
    """The batches of `order`; a worker that is killed or hangs ends in an error that names what it
    was reading."""

    def __init__(
        self,
        dataset: NumberedDataset,
        order: Any,
        *,
        num_workers: int = 0,
        timeout_seconds: float = 120,
        pin_memory: bool = False,
    ) -> None:
        collate: Callable[[Sequence[Any]], Any] = dataset.collate
        super().__init__(
            dataset if file_clips_of(dataset) else WatchedNumbers(dataset),  # type: ignore[arg-type]
            batch_sampler=order,
            num_workers=num_workers,
            collate_fn=collate,
            timeout=legal_timeout(timeout_seconds) * bool(num_workers),
            pin_memory=pin_memory,
            worker_init_fn=heed_only_the_loader,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        return watched(super().__iter__(), self.dataset)


class ResumableLoader(WatchedLoader):
    """Endless batches in the order of `order`; the state counts global samples handed out, not
    those prefetched.

    overfit_batches: begin again after so many of the first batches; 0: never.
    """

    def __init__(
        self, dataset: NumberedDataset, order: Order, *, overfit_batches: int = 0, **settings: Any
    ) -> None:
        super().__init__(dataset, order, **settings)
        self._order, self._overfit_batches = order, overfit_batches
        self._fingerprint: dict[str, str] = dict(getattr(dataset, "fingerprint", {}))
        self._batches = 0

    def __len__(self) -> int:
        return ENDLESS

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self._overfit_batches:
            self._batches %= self._overfit_batches
        self._order.start_batch = self._batches
        for batch in super().__iter__():
            self._batches += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        samples = self._order.samples_before(self._batches)
        return {"samples": samples, "data": self._fingerprint}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after `samples` global samples; ValueError if that is not a whole number of
        batches, StaleCache where the data are latents of another space; other clips are logged."""
        before, now = state.get("data") or {}, self._fingerprint
        if before.get("latents", now.get("latents")) != now.get("latents"):
            raise StaleCache(
                "the latent cache is not the one that the checkpoint was trained on: it was made "
                "by other autoencoders, or with another mel, grid or precision; put the former "
                "back, or start anew in another output_dir"
            )
        if before.get("clips", now.get("clips")) != now.get("clips"):
            _log.warning("the clips are not those that the checkpoint was trained on")
        self._batches = self._order.batch_after(state["samples"])
