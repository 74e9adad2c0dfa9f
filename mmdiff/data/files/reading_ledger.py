"""What the worker processes of a loader tell its main process while they read, in shared memory.

A batch cannot tell what was left out of it, and a worker that was killed tells nothing: both are
written down here as they happen.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.utils.data import get_worker_info

from mmdiff.data.bad_clips import LACKING
from mmdiff.media.rejection import Reason

MOST_WORKERS = 1024
NOT_READ, GOOD, FIRST_REASON = 0, 1, 2
REASONS = tuple(Reason)
LACKING_STATES = torch.tensor([FIRST_REASON + REASONS.index(r) for r in LACKING], dtype=torch.uint8)


@dataclass(frozen=True)
class Reading:
    """A file that a process reads, or has read last: which sample, which entry of the listing, for
    how long; `is_done`: it waits for the next."""

    worker: int
    pid: int
    number: int
    entry: int
    seconds: float
    is_done: bool = False

    def __str__(self) -> str:
        """To be followed by what is read."""
        doing = "waited; last it read" if self.is_done else f"for {self.seconds:.1f} s was reading"
        return f"worker {self.worker} (process {self.pid}) {doing} sample {self.number}"


class ReadingLedger:
    """One state for each entry of a listing, one place for each worker.

    It travels to workers, forked or spawned, and stays the same memory.
    """

    def __init__(self, num_entries: int) -> None:
        self._states = torch.zeros(num_entries, dtype=torch.uint8).share_memory_()
        self._places = torch.zeros(MOST_WORKERS, 5, dtype=torch.int64).share_memory_()

    @contextmanager
    def reading(self, number: int, entry: int) -> Iterator[None]:
        """Write down that this process reads `entry`; what raises or dies stays written down."""
        worker = _worker()
        since = time.monotonic_ns() // 1000
        self._places[worker] = torch.tensor([os.getpid(), number, entry, since, 0])
        yield
        self._places[worker, 4] = 1

    def readings(self) -> list[Reading]:
        """What each process reads, or read when it ended, or has read last."""
        now = time.monotonic_ns() // 1000
        return [
            Reading(worker, pid, number, entry, (now - since) / 1e6, bool(done))
            for worker, (pid, number, entry, since, done) in enumerate(self._places.tolist())
            if pid
        ]

    def mark(self, entry: int, reason: Reason | None) -> None:
        """An entry was read: good, or bad for this reason."""
        self._states[entry] = GOOD if reason is None else FIRST_REASON + REASONS.index(reason)

    def reason(self, entry: int) -> Reason | None:
        """Why an entry is known to be bad; None while it is not."""
        state = int(self._states[entry])
        return REASONS[state - FIRST_REASON] if state >= FIRST_REASON else None

    @property
    def num_left_out(self) -> int:
        return int((self._states >= FIRST_REASON).sum())

    @property
    def num_lacking(self) -> int:
        return int(torch.isin(self._states, LACKING_STATES).sum())

    def bad(self) -> dict[int, Reason]:
        """The entries that are known to be bad, in their order."""
        entries = torch.nonzero(self._states >= FIRST_REASON)[:, 0].tolist()
        return {entry: REASONS[int(self._states[entry]) - FIRST_REASON] for entry in entries}


def _worker() -> int:
    info = get_worker_info()
    return 0 if info is None else info.id % MOST_WORKERS
