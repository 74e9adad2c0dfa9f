"""Loaders that say what their workers were reading; that of training resumes with the very next
sample."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import parent_process
from typing import Any, Protocol

from torch.utils.data import DataLoader
from torch.utils.data._utils import signal_handling

from mmdiff.data.bad_clips import TooManyBadFiles
from mmdiff.data.bucket_order import BucketOrder
from mmdiff.data.checksummed_json import StaleCache
from mmdiff.data.order import EndlessOrder
from mmdiff.data.worker_status import WorkerStatus, worker_failure
from mmdiff.values.checks import check_weights

_log = logging.getLogger(__name__)

ENDLESS = 10**9  # batches; with a length, Lightning fetches none ahead of the saved position
POLL_SECONDS = 2.0  # of a wait for a batch, after each of which torch looks for dead workers
# torch: killed, exited or timed out; the rest where what a worker had handed over went with it
WORKER_ERRORS = (RuntimeError, ConnectionError, EOFError)


class NumberedDataset(Protocol):
    """What the loader needs: samples by number in the endless order, and how to make a batch of
    some. It may say by `name_of(number)` what a number is."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Any: ...

    def collate(self, items: Sequence[Any]) -> Any: ...


class _Reported:
    """A dataset that notes which of its samples each process is reading."""

    def __init__(self, dataset: NumberedDataset) -> None:
        self.dataset, self.status = dataset, WorkerStatus()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        with self.status.reading(number, number, self.name_of(number)):
            return self.dataset[number]

    def name_of(self, number: int) -> str:
        name_of: Callable[[int], str] = getattr(self.dataset, "name_of", str)
        return name_of(number)


class ReportingLoader(DataLoader[Any]):
    """The batches of `order`; a worker that is killed or hangs ends in ReadingFailed, which names
    what it was reading. Of files, also TooManyBadFiles."""

    def __init__(
        self,
        dataset: NumberedDataset,
        order: Iterable[Sequence[int]],
        *,
        num_workers: int = 0,
        timeout_seconds: float = 120,
        pin_memory: bool = False,
    ) -> None:
        check_weights(above=True, timeout_seconds=timeout_seconds)
        self.timeout_seconds = timeout_seconds
        super().__init__(
            dataset if hasattr(dataset, "status") else _Reported(dataset),  # type: ignore[arg-type]
            batch_sampler=order,  # type: ignore[arg-type]
            num_workers=num_workers,
            collate_fn=dataset.collate,
            timeout=min(POLL_SECONDS, timeout_seconds) * bool(num_workers),
            pin_memory=pin_memory,
            worker_init_fn=heed_only_the_loader,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        dataset: Any = self.dataset
        report = getattr(dataset, "report", lambda: None)  # of files: what is left out
        report()
        batches = self._batches_of_torch()
        while True:
            try:
                batch = self._next(batches)
            except StopIteration:
                return
            except TooManyBadFiles:
                report()  # raises the same without the traceback of a worker
                raise
            except WORKER_ERRORS as error:
                readings = dataset.status.readings()
                named = [(one, dataset.name_of(one.index)) for one in readings]
                raise worker_failure(error, named) from error
            report()
            yield batch

    def _batches_of_torch(self) -> Iterator[Any]:
        """torch raises for a dead worker from a signal handler, so out of whatever runs, such as
        the writing of a file; without its handler, the next wait for a batch finds it."""
        before = signal.getsignal(signal.SIGCHLD)
        batches = super().__iter__()
        if threading.current_thread() is threading.main_thread():
            is_of_torch = getattr(before, "__module__", "") == signal_handling.__name__
            signal.signal(signal.SIGCHLD, (not is_of_torch and before) or signal.SIG_DFL)
        return batches

    def _next(self, batches: Iterator[Any]) -> Any:
        since = time.monotonic()
        while True:
            try:
                return next(batches)
            except RuntimeError as error:
                if not str(error).startswith("DataLoader timed out"):
                    raise
                if time.monotonic() - since >= self.timeout_seconds:
                    text = f"DataLoader timed out after {self.timeout_seconds:g} seconds"
                    raise RuntimeError(text) from error


class ResumableLoader(ReportingLoader):
    """Endless batches in the order of `order`; the state counts global samples handed out, not
    those prefetched.

    overfit_batches: begin again after so many of the first batches; 0: never.
    """

    def __init__(
        self,
        dataset: NumberedDataset,
        order: EndlessOrder | BucketOrder,
        *,
        overfit_batches: int = 0,
        **settings: Any,
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


def heed_only_the_loader(worker: int) -> None:
    """For `worker_init_fn`: SIGTERM ends this worker only if it comes from the process of its
    loader; SIGINT and SIGUSR1 are ignored. When that process dies, so does the worker.

    scancel, systemd and timeout send to every process of a job. A worker that followed would take
    the run down before it could save.
    """
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    parent = parent_process()
    if parent is None or parent.pid is None or not hasattr(signal, "sigtimedwait"):
        return  # macOS cannot tell who sent a signal: there it goes on ending the worker
    loader = parent.pid

    def end_with_the_loader() -> None:
        while True:
            received = signal.sigtimedwait({signal.SIGTERM}, 1.0)
            if os.getppid() != loader or (received is not None and received.si_pid == loader):
                os._exit(0)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    # a thread of its own, so that a worker that hangs can be ended too
    threading.Thread(target=end_with_the_loader, daemon=True).start()
