"""Rows of a report from several processes: a file that kills or blocks one of them is a row too."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait

import torch

from mmdiff.data.checking.check_clip import check_clip
from mmdiff.data.checking.report import ClipReport
from mmdiff.data.files.listed_clips import ListedClips
from mmdiff.media.rejection import Reason, Rejection

GRACE_SECONDS = 10.0  # beyond the deadline that the gate keeps itself
LOOK_SECONDS = 0.5


def check_all(clips: ListedClips, *, num_workers: int) -> Iterator[tuple[int, ClipReport]]:
    """A row for every item, as they become ready, with their indices; in this process where
    `num_workers` is 0."""
    if num_workers < 1:
        for index in range(len(clips)):
            yield index, check_clip(clips, index)
        return
    todo = iter(range(len(clips)))
    workers = [_Worker(clips) for _ in range(min(num_workers, len(clips)))]
    try:
        busy = {worker for worker in workers if worker.give(next(todo, None))}
        while busy:
            ready = set(wait([worker.pipe for worker in busy], timeout=LOOK_SECONDS))
            for worker in list(busy):
                row = worker.row(is_ready=worker.pipe in ready)
                if row is None:
                    continue
                yield row
                if not worker.give(next(todo, None)):
                    busy.discard(worker)
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process that checks one item at a time, replaced when it dies."""

    def __init__(self, clips: ListedClips) -> None:
        self.clips = clips
        self.seconds_allowed = 2 * clips.limits.max_seconds + GRACE_SECONDS  # picture and sound
        self.index, self.since = 0, 0.0
        self._start()

    def give(self, index: int | None) -> bool:
        """Hand over an item; False where there is none."""
        if index is None:
            return False
        if not self.process.is_alive():
            self._start()
        self.index, self.since = index, time.monotonic()
        try:
            self.pipe.send(index)
        except ConnectionError:  # it ended between two items
            self.stop()
            self._start()
            self.pipe.send(index)
        return True

    def row(self, *, is_ready: bool) -> tuple[int, ClipReport] | None:
        """The row of the item, one that says what happened to the process, or None for not yet."""
        if is_ready:
            try:
                return self.index, self.pipe.recv()
            except (EOFError, ConnectionError):
                self.process.join()
                return self.index, self._lost(Reason.DAMAGED, self._end())
        if time.monotonic() - self.since > self.seconds_allowed:
            self.stop()
            text = f"does not come to an end after {self.seconds_allowed:g} s; encode it anew"
            return self.index, self._lost(Reason.TOO_SLOW, text)
        return None

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def _start(self) -> None:
        self.pipe, other = multiprocessing.Pipe()
        arguments = (self.clips, other, os.getpid())
        self.process = multiprocessing.Process(target=_serve, args=arguments, daemon=True)
        self.process.start()
        other.close()

    def _end(self) -> str:
        code = self.process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        memory = ", as a system does that runs out of memory" if code == -signal.SIGKILL else ""
        return f"ended the process that read it ({how}{memory}); leave it out or encode it anew"

    def _lost(self, reason: Reason, text: str) -> ClipReport:
        clips = self.clips
        name = clips.entries[self.index].key if self.index < len(clips.entries) else "a listed file"
        seconds = round(time.monotonic() - self.since, 4)
        row = ClipReport.dropped(Rejection(name, reason, "decode", f"{name} {text}"))
        return ClipReport(row.file, row.status, row.reason, row.stage, row.message, seconds=seconds)


def _serve(clips: ListedClips, pipe: Connection, parent: int) -> None:
    """Check the items that come through the pipe until it ends, or the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and stops this process
    torch.set_num_threads(1)
    while True:
        while not pipe.poll(LOOK_SECONDS):
            if os.getppid() != parent:
                return
        try:
            index = pipe.recv()
        except (EOFError, ConnectionError):
            return
        pipe.send(check_clip(clips, index))
