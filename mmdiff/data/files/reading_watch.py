"""Says what a loader's workers were doing when one of them was killed or hung, and what they left
out."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

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
    with workers_watched(batches, readings):
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except TooManyBadFiles:
                for one in files:
                    one.check()  # the same list without the traceback of a worker
                raise
            except RuntimeError as error:  # torch: killed, exited or timed out
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
def workers_watched(batches: Any, files: Sequence[WatchedReading]) -> Iterator[None]:
    """torch raises for a killed worker from a signal handler, so anywhere, such as in the middle of
    a training step: there too the error is to say what the worker was reading. It installs that
    handler once in a process, and Lightning takes it away at the end of each fit: so its check is
    called from ours."""
    if not files or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)

    def told(number: int, frame: FrameType | None) -> None:
        try:
            _error_if_any_worker_fails()
            if callable(before):
                before(number, frame)
        except RuntimeError as error:
            release(batches)
            raise worker_failure(error, files) from error

    signal.signal(signal.SIGCHLD, told)
    try:
        yield
    finally:
        release(batches)
        if signal.getsignal(signal.SIGCHLD) is told:
            signal.signal(signal.SIGCHLD, before)


def release(batches: Any) -> None:
    """Let torch's handler no longer raise for the workers of `batches`, which end with them: a
    traceback may hold them for longer than anybody reads them, and an error would come out of
    whatever runs by then."""
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


def worker_failure(error: RuntimeError, files: Sequence[WatchedReading]) -> RuntimeError:
    """With the reading of the worker whose process the error names, or those of all."""
    if not files or isinstance(error, ReadingFailed):
        return error
    readings = [(reading, one) for one in files for reading in one.ledger.readings()]
    named = [(reading, one) for reading, one in readings if str(reading.pid) in str(error)]
    going = [(reading, one) for reading, one in readings if not reading.is_done]
    places = [one.where(reading) for reading, one in named or going or readings]
    said = "; ".join(places) or "nothing had been read yet"
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    hint = OUT_OF_MEMORY if "signal: Killed" in first or "exited unexpectedly" in first else ""
    return ReadingFailed(f"{first.rstrip('. ')}: {said}{hint}")
