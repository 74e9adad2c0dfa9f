"""Two ranks that train until a signal comes to some of them."""

import os
import signal
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mmdiff.distributed.strategies import data_parallel
from mmdiff.training.callbacks.terminate import TerminateWithCheckpoint
from tests.distributed.processes import free_port, rank_environment
from tests.training.forked import CountSteps, exit_code, fork, newest_step
from tests.training.tiny import train


@dataclass(frozen=True)
class Signalled:
    """Exit codes by rank; whether no process of theirs lives on; whether the checkpoint is of the
    step that both ended with."""

    codes: tuple[int, ...]
    is_alone: bool
    has_current_step: bool


def signal_ranks(
    folder: Path, ranks: Collection[int], number: signal.Signals, *, after_steps: int
) -> Signalled:
    """Send `number` to these ranks of two once they have done `after_steps` steps."""
    port, counters = free_port(), [CountSteps(), CountSteps()]
    children = [
        fork(lambda rank=rank: _rank(folder, rank, port, counters[rank])) for rank in (0, 1)
    ]
    deadline = time.monotonic() + 120
    while min(counter.done.value for counter in counters) < after_steps:
        assert time.monotonic() < deadline, "the ranks do not train"
        time.sleep(0.002)
    for rank in ranks:
        os.kill(children[rank], number)
    codes = tuple(exit_code(child) for child in children)
    steps = {counter.done.value for counter in counters}
    return Signalled(codes, not _processes_of(children), steps == {newest_step(folder)})


def _rank(folder: Path, rank: int, port: int, counter: CountSteps) -> None:
    os.setpgid(0, 0)  # so that what it leaves can be found
    os.environ |= rank_environment(rank, 2, port)
    train(
        folder,
        100_000,
        every=None,
        devices=2,
        strategy=data_parallel(backend="gloo", timeout_seconds=30),
        callbacks=[counter, TerminateWithCheckpoint()],
    )


def _processes_of(groups: list[int]) -> list[int]:
    """The groups in which a process is still there."""
    alive = []
    for group in groups:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            continue
        alive.append(group)
    return alive
