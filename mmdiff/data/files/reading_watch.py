"""Says what a loader's workers were doing when one of them was killed or hung, and what they left
out."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any, Protocol

from torch.utils.data._utils import signal_handling
from torch.utils.data._utils.signal_handling import (
    _error_if_any_worker_fails,
    _remove_worker_pids,
)

from mmdiff.data.bad_clips import TooManyBadFiles
from mmdiff.data.files.file_clips import FileClips, ReadingFailed
from mmdiff.data.files.reading_ledger import Reading, ReadingLedger

OUT_OF_MEMORY = (
    "; the system kills a process when memory runs out: try fewer workers (data.num_workers) or a "
    "smaller batch (data.batch_size)"
)


# torch: killed, exited or timed out; the rest where what a worker had handed over went with it
WORKER_ERRORS = (RuntimeError, ConnectionError, EOFError)


class WatchedReading(Protocol):
    """What can be asked which file a worker was reading."""

    ledger: ReadingLedger

    def where(self, reading: Reading) -> str: ...


class WatchedNumbers:
    """A dataset of numbers that is no `FileClips`, and which of them each process is reading.

    It may say by `name_of(number)` what a number is.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.ledger = dataset, ReadingLedger(1)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        with self.ledger.reading(number, 0):
            return self.dataset[number]

    def where(self, reading: Reading) -> str:
        """A place in words."""
        name_of = getattr(self.dataset, "name_of", None)
        return f"{reading}" + (f", {name_of(reading.number)}" if name_of else "")


def watched(batches: Iterator[Any], dataset: object) -> Iterator[Any]:
    """The same batches. Of files, tells what turned out to be bad, in the main process.

    Raises TooManyBadFiles, and ReadingFailed for a worker that is gone or does not answer.
    """
    files = file_clips_of(dataset)
    for one in files:
        one.check()
    readings = [dataset] if isinstance(dataset, WatchedNumbers) else files
    with workers_watched(batches) as waiting:
        while True:
            try:
                with waiting():
                    batch = next(batches)
            except StopIteration:
                return
            except TooManyBadFiles:
                for one in files:
                    one.check()  # the same list without the traceback of a worker
                raise
            except WORKER_ERRORS as error:
                raise worker_failure(error, readings) from error
            for one in files:
                one.tell()
            yield batch


def file_clips_of(dataset: object) -> list[FileClips]:
    """The datasets of files in or behind a dataset: `dataset` or `datasets` of what wraps them."""
    if isinstance(dataset, FileClips):
        return [dataset]
    inner = [getattr(dataset, "dataset", None), *(getattr(dataset, "datasets", None) or ())]
    return [files for one in inner if one is not None for files in file_clips_of(one)]


@contextmanager
def workers_watched(batches: Any) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Inside of what it gives, a worker of `batches` that dies raises torch's RuntimeError at once.

    torch raises from a signal handler, so out of whatever runs, such as a training step or the
    writing of a file, and Lightning takes that handler away at the end of each fit. Ours raises
    only where a batch is waited for; a worker that dies meanwhile is found when the next one is
    asked for.
    """
    if threading.current_thread() is not threading.main_thread():
        yield nullcontext
        return
    before, is_waiting = signal.getsignal(signal.SIGCHLD), False

    def child_ended(number: int, frame: FrameType | None) -> None:
        if is_waiting:
            _error_if_any_worker_fails()
        if callable(before) and before.__module__ != signal_handling.__name__:
            before(number, frame)

    @contextmanager
    def waiting() -> Iterator[None]:
        nonlocal is_waiting
        is_waiting = True
        try:
            _error_if_any_worker_fails()
            yield
        finally:
            is_waiting = False

    signal.signal(signal.SIGCHLD, child_ended)
    try:
        yield waiting
    finally:
        release(batches)
        if signal.getsignal(signal.SIGCHLD) is child_ended:
            signal.signal(signal.SIGCHLD, before)


def release(batches: Any) -> None:
    """Let torch's handler no longer raise for the workers of `batches`: a traceback may hold them
    longer than anybody reads them."""
    if getattr(batches, "_worker_pids_set", False):
        _remove_worker_pids(id(batches))
        batches._worker_pids_set = False


def legal_timeout(seconds: float) -> float:
    """`seconds` that a worker may keep silent; ValueError unless positive: 0 waits forever."""
    if not seconds > 0:
        raise ValueError(
            f"timeout_seconds is {seconds}; with it a worker that hangs is never told: 120"
        )
    return seconds


def worker_failure(error: Exception, files: Sequence[WatchedReading]) -> Exception:
    """With the reading of the worker whose process the error names, or those of all."""
    if not files or isinstance(error, ReadingFailed):
        return error
    readings = [(reading, one) for one in files for reading in one.ledger.readings()]
    named = [(reading, one) for reading, one in readings if str(reading.pid) in str(error)]
    going = [(reading, one) for reading, one in readings if not reading.is_done]
    places = [one.where(reading) for reading, one in named or going or readings]
    said = "; ".join(places) or "nothing had been read yet"
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if not isinstance(error, RuntimeError):
        first = f"a DataLoader worker is gone ({first})"
    is_gone = any(word in first for word in ("signal: Killed", "exited unexpectedly", "is gone"))
    hint = OUT_OF_MEMORY if is_gone else ""
    return ReadingFailed(f"{first.rstrip('. ')}: {said}{hint}")
