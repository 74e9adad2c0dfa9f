"""What the worker processes of a loader report to its main process while they read, in shared
memory: a batch cannot say what was left out of it, and a worker that was killed says nothing."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

import torch
from torch.utils.data import get_worker_info

from mmdiff.media.rejection import Reason, printable

MOST_WORKERS = 1024
READING, DONE, FAILED = range(3)  # what became of the item that a worker read last
FIRST_REASON = 2  # of the states of entries: 0 not read, 1 good
REASONS = tuple(Reason)
OUT_OF_MEMORY = (
    "; the system kills a process when memory runs out: try fewer workers (data.num_workers) or a "
    "smaller batch (data.batch_size)"
)


class ReadingFailed(RuntimeError):  # noqa: N818
    """A worker was killed, hung, or met a fault of ours; the message names the worker, the sample
    and the file.

    index  of the item that it read, where that is known
    """

    index: int | None = None


@dataclass(frozen=True)
class Reading:
    """What a process reads, or has read last: which sample, which item of the dataset, for how
    long."""

    worker: int
    pid: int
    number: int
    index: int
    seconds: float
    state: int

    def __str__(self) -> str:
        is_done = self.state == DONE
        doing = "waited; last it read" if is_done else f"for {self.seconds:.1f} s was reading"
        return f"worker {self.worker} (process {self.pid}) {doing} sample {self.number}"


class WorkerStatus:
    """What each worker reads, and one state for each of `num_entries`.

    It travels to workers, forked or spawned, and stays the same memory.
    """

    def __init__(self, num_entries: int = 0) -> None:
        self._states = torch.zeros(num_entries, dtype=torch.uint8).share_memory_()
        self._readings = torch.zeros(MOST_WORKERS, 5, dtype=torch.int64).share_memory_()

    def reading(self, number: int, index: int, name: str) -> AbstractContextManager[None]:
        """Note that this process reads item `index`, called `name`, as sample `number`.

        Whatever the gate does not expect travels to the main process as one picklable error.
        """
        return _Noted(self._readings, number, index, name)

    def readings(self) -> list[Reading]:
        """What each process reads, or read when it ended, or has read last."""
        now = _microseconds()
        return [
            Reading(worker, pid, number, index, (now - since) / 1e6, state)
            for worker, (pid, number, index, since, state) in enumerate(self._readings.tolist())
            if pid
        ]

    def mark(self, entry: int, reason: Reason | None) -> None:
        """An entry was read: good, or bad for this reason."""
        self._states[entry] = 1 if reason is None else FIRST_REASON + REASONS.index(reason)

    def reason(self, entry: int) -> Reason | None:
        """Why an entry is known to be bad; None while it is not."""
        state = int(self._states[entry])
        return REASONS[state - FIRST_REASON] if state >= FIRST_REASON else None

    def counts(self) -> Counter[Reason]:
        """How many entries are known to be bad, by what is wrong."""
        states = self._states[self._states >= FIRST_REASON].long() - FIRST_REASON
        counts = torch.bincount(states, minlength=len(REASONS)).tolist()
        return Counter(dict(zip(REASONS, counts, strict=True)))

    def bad(self) -> Iterator[tuple[int, Reason]]:
        """The entries that are known to be bad, in their order."""
        for entry in torch.nonzero(self._states >= FIRST_REASON)[:, 0].tolist():
            yield entry, REASONS[int(self._states[entry]) - FIRST_REASON]


@dataclass(frozen=True)
class _Noted:
    readings: torch.Tensor
    number: int
    index: int
    name: str

    @property
    def worker(self) -> int:
        info = get_worker_info()
        return 0 if info is None else info.id % MOST_WORKERS

    def __enter__(self) -> None:
        row = [os.getpid(), self.number, self.index, _microseconds(), READING]
        self.readings[self.worker] = torch.tensor(row)

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.readings[self.worker, 4] = DONE if error is None else FAILED
        if isinstance(error, Exception):
            who = "the main process" if get_worker_info() is None else f"worker {self.worker}"
            raise ReadingFailed(
                f"{who} failed at sample {self.number}, {printable(self.name)}: "
                f"{type(error).__name__}: {error}"
            ) from error


def worker_failure(error: Exception, readings: Sequence[tuple[Reading, str]]) -> ReadingFailed:
    """What a loader raised, with what the workers were reading, each with its name.

    Of several workers it was the one whose process the error names, or one that is not done.
    """
    going = [one for one in readings if one[0].state != DONE]
    named = [one for one in readings if str(one[0].pid) in str(error)]
    failed = [one for one in readings if one[0].state == FAILED]
    culprits = named or failed or sorted(going, key=lambda one: -one[0].seconds) or readings
    if isinstance(error, ReadingFailed):  # torch writes the traceback of the worker around it
        failure = ReadingFailed(str(error).strip().rpartition("ReadingFailed: ")[2])
    else:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if not isinstance(error, RuntimeError):
            first = f"a DataLoader worker is gone ({first})"
        where = [f"{reading}, {printable(name)}" for reading, name in culprits]
        is_gone = any(word in first for word in ("Killed", "exited unexpectedly", "is gone"))
        failure = ReadingFailed(
            f"{first.rstrip('. ')}: {'; '.join(where) or 'nothing had been read yet'}"
            f"{OUT_OF_MEMORY if is_gone else ''}"
        )
    failure.index = culprits[0][0].index if culprits else None
    return failure


def _microseconds() -> int:
    return time.monotonic_ns() // 1000
