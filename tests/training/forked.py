"""Children forked from a parent that has imported everything: a run costs no start-up, and may be
killed."""

import ctypes
import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback

from mmdiff.training.checkpoint_folder import checkpoints_in, latest_checkpoint
from tests.training.faults import Fault, inject, slow_writer


def fork(function: Callable[[], object], *, faults: Sequence[Fault] = ()) -> int:
    """Run `function()` in a child with these faults planned. The child exits with 0, with the code
    of a SystemExit, or with 1 after any other error."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        torch.set_num_threads(1)  # a forked child that uses OpenMP hangs without this
        inject(faults, pytest.MonkeyPatch())
        function()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:  # noqa: BLE001 - the exit code tells the test that something was raised
        traceback.print_exc()
    finally:
        os._exit(code)


def exit_code(child: int) -> int:
    """What the child ended with; the negative number of the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class CountSteps(Callback):
    """Tells the parent, through shared memory, how many steps are done."""

    def __init__(self) -> None:
        self.done: Any = RawValue(ctypes.c_long, 0)

    def on_train_batch_end(self, trainer: Any, *arguments: Any) -> None:
        self.done.value = trainer.global_step


SLOW_WRITER = slow_writer(seconds=0.004)
SAVE_SECONDS = 0.05  # what that makes of a save


@dataclass
class Killer:
    """Kills runs with -9: every second time while a slow writer saves, else at any moment.

    train: (folder, callbacks) trains `steps` steps, saves every `interval`, and resumes.
    """

    train: Callable[[Path, list[Callback]], object]
    steps: int
    interval: int
    seed: int = 0
    kills: int = 0
    kills_in_save: int = 0
    most_lost: int = 0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def run(self, folder: Path, *, kills: int) -> None:
        """Start, kill, start again, until the run is through or killed `kills` times; then let it
        end. AssertionError if anything but a kill stops it."""
        code, limit = -signal.SIGKILL, self.kills + kills
        while code != 0:
            code = self._attempt(folder, is_spared=self.kills >= limit)
            assert code in (0, -signal.SIGKILL), f"the run ended with {code}"

    def _attempt(self, folder: Path, *, is_spared: bool) -> int:
        counter, before = CountSteps(), newest_step(folder)
        counter.done.value = before
        is_spared = is_spared or before == self.steps
        in_save = self.kills % 2 == 1
        child = fork(lambda: self.train(folder, [counter]), faults=SLOW_WRITER if in_save else ())
        if is_spared:
            return exit_code(child)
        if in_save:
            saves = range(before + self.interval, self.steps + 1, self.interval)
            target = folder / f"step_{self.chance.choice(saves):08d}.tmp"
            wait_until(child, target.exists)
            time.sleep(self.chance.uniform(0, SAVE_SECONDS))
        else:
            step = self.chance.randint(before, self.steps - 1)
            wait_until(child, lambda: counter.done.value >= step)
            time.sleep(self.chance.uniform(0, 0.3 if step == before else 0.02))
        os.kill(child, signal.SIGKILL)  # not waited for yet, so the number is still its own
        code = exit_code(child)
        if code == -signal.SIGKILL:
            self.kills += 1
            self.kills_in_save += any(folder.glob("step_*.*")) if folder.is_dir() else 0
            self._check(folder, before, counter.done.value)
        return code

    def _check(self, folder: Path, before: int, done: int) -> None:
        after = newest_step(folder)
        self.most_lost = max(self.most_lost, done - after)
        assert before <= after and done - after <= self.interval


def newest_step(folder: Path) -> int:
    """The step of the newest valid checkpoint, 0 without any; one that does not verify fails."""
    path = latest_checkpoint(folder, strict=True) if checkpoints_in(folder) else None
    return int(path.name.split("_")[1]) if path is not None else 0


def wait_until(child: int, is_there: Callable[[], bool], *, seconds: float = 300) -> None:
    """Until `is_there()`, or the child has ended."""
    deadline = time.monotonic() + seconds
    while not is_there() and not _has_ended(child):
        assert time.monotonic() < deadline, "the run stands still"
        time.sleep(0.001)


def _has_ended(child: int) -> bool:
    """Without taking its exit code."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
