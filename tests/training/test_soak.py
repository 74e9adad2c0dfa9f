"""Faults in random order for a time, and the state of a run that had none; only with `-m soak`.

MMDIFF_SOAK_SECONDS says for how long, MMDIFF_SOAK_SEED which faults. Both runs read files, two of
which are bad from the start.
"""

import logging
import os
import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from mmdiff.training.callbacks.finite_guard import FiniteGuard
from mmdiff.training.callbacks.terminate import TerminateWithCheckpoint
from tests.training.faults import POINTS, Fault, at, slow_writer
from tests.training.forked import CountSteps, exit_code, fork, newest_step, wait_until
from tests.training.tiny import Spoil, TinyModule, assert_equal, spoil, state, train
from tests.training.vectors_of_files import vectors_of, write_files

INTERVAL = 20  # steps from save to save; a fault about every 100
ENDS = {"kill": -signal.SIGKILL, "term": 143, "disk": 1, "nan": 1}
_log = logging.getLogger("mmdiff")


@pytest.mark.soak
def test_random_faults_end_where_no_fault_ends(tmp_path: Path) -> None:
    seconds = float(os.environ.get("MMDIFF_SOAK_SECONDS", 120))
    chance = random.Random(int(os.environ.get("MMDIFF_SOAK_SEED", 0)))
    files = write_files(tmp_path / "files")
    folder, struck, deadline = tmp_path / "faults", Counter[str](), time.monotonic() + seconds
    while time.monotonic() < deadline:
        kind = chance.choice(list(ENDS))
        _strike(folder, files, kind, newest_step(folder) + chance.randint(1, 200), chance)
        struck[kind] += 1
    end = newest_step(folder) + INTERVAL
    assert exit_code(fork(lambda: _train(folder, files, end, CountSteps()))) == 0
    whole = {"every": None, "module": TinyModule(steps=100_000), "dataset": vectors_of(files)}
    train(tmp_path / "whole", end, **whole)
    assert_equal(state(folder), state(tmp_path / "whole"))
    assert not list(folder.glob("*.*"))
    _log.warning("%d steps with faults: %s", end, dict(struck))


def _train(
    folder: Path, files: Path, steps: int, counter: CountSteps, *, spoilt: Spoil | None = None
) -> None:
    callbacks = [counter, FiniteGuard(), TerminateWithCheckpoint()]
    module = TinyModule(steps=100_000)
    module.spoil = spoilt
    settings = {"module": module, "dataset": vectors_of(files)}
    train(folder, steps, every=INTERVAL, callbacks=callbacks, **settings)


def _strike(folder: Path, files: Path, kind: str, step: int, chance: random.Random) -> None:
    """Go on, until a fault of this kind strikes at `step`; little is lost, and nothing is
    broken."""
    counter, before = CountSteps(), newest_step(folder)
    name = chance.choice(("loss", "audio", "gradient"))
    spoilt = spoil(name, step=step) if kind == "nan" else None
    run = partial(_train, folder, files, 10**6, counter, spoilt=spoilt)
    child = fork(run, faults=_plan(kind, step, chance))
    if kind in ("kill", "term"):
        wait_until(child, lambda: counter.done.value >= step)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL if kind == "kill" else signal.SIGTERM)
    assert exit_code(child) == ENDS[kind], kind
    after, done = newest_step(folder), counter.done.value
    assert before <= after and done - after <= (0 if kind == "term" else INTERVAL)


def _plan(kind: str, step: int, chance: random.Random) -> list[Fault]:
    if kind == "disk":
        point = chance.choice([point for point in POINTS if point != "published"])
        return [at(point, "ENOSPC", step=-(-step // INTERVAL) * INTERVAL)]
    return [] if kind == "nan" else slow_writer(seconds=0.002)
