"""Kills, signals and full disks in numbers; some minutes, so only with `-m faults`."""

import logging
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Callback

from mmdiff.training.callbacks.save_checkpoints import SaveCheckpoints
from mmdiff.training.callbacks.terminate import TerminateWithCheckpoint
from mmdiff.training.checkpoint_folder import checkpoints_in
from tests.training.faults import POINTS, at
from tests.training.forked import CountSteps, Killer, exit_code, fork, newest_step, wait_until
from tests.training.signalled import Signalled, signal_ranks
from tests.training.tiny import TinyModule, assert_equal, state, train

pytestmark = pytest.mark.faults
STEPS, INTERVAL = 60, 5


def _to(folder: Path, steps: int, **settings: Any) -> None:
    train(folder, steps, every=INTERVAL, module=TinyModule(steps=STEPS), **settings)


def _train(folder: Path, callbacks: list[Callback]) -> None:
    _to(folder, STEPS, callbacks=callbacks)


def _kill(tmp_path: Path, *, kills: int, killer: Killer) -> Killer:
    _train(tmp_path / "whole", [])
    whole = state(tmp_path / "whole")
    run = 0
    while killer.kills < kills:
        folder = tmp_path / f"run{run}"
        killer.run(folder, kills=min(5, kills - killer.kills))
        assert_equal(state(folder), whole)
        run += 1
    logging.getLogger("mmdiff").warning(
        "%d kills in %d runs, %d of them in a save, at most %d steps lost",
        killer.kills,
        run,
        killer.kills_in_save,
        killer.most_lost,
    )
    return killer


def test_c1_fifty_kills_half_of_them_while_saving(tmp_path: Path) -> None:
    """50 of 50 resume, and what they end with is the unbroken run's, bit for bit."""
    killer = _kill(tmp_path, kills=50, killer=Killer(_train, STEPS, INTERVAL, seed=1))
    assert killer.kills == 50 and killer.kills_in_save >= 20
    assert killer.most_lost <= INTERVAL


def test_c2_twenty_kills_with_the_temporary_folder_on_another_filesystem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's own writer leaves 3 of 10 truncated there."""
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second filesystem at /dev/shm")
    monkeypatch.setenv("TMPDIR", str(elsewhere))
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert tempfile.gettempdir() == str(elsewhere)
    killer = _kill(tmp_path, kills=20, killer=Killer(_train, STEPS, INTERVAL, seed=2))
    assert killer.kills == 20 and killer.kills_in_save >= 7


def test_c6_a_full_disk_at_ten_saves_of_a_run(tmp_path: Path) -> None:
    """Each ends the run with an exit code that is not 0, and the next start goes on."""
    _train(tmp_path / "whole", [])
    folder, chance = tmp_path / "full", random.Random(3)
    points = [point for point in POINTS if point != "published"]
    for save in range(1, 11):
        step = save * INTERVAL
        full = [at(chance.choice(points), "ENOSPC", step=step)]
        assert exit_code(fork(lambda: _train(folder, []), faults=full)) == 1
        assert newest_step(folder) == step - INTERVAL
        assert not folder.is_dir() or not list(folder.glob("*.*"))
        assert exit_code(fork(lambda step=step: _to(folder, step))) == 0
    _train(folder, [])
    assert_equal(state(folder), state(tmp_path / "whole"))


def test_c6_warn_trains_on_through_full_disks(tmp_path: Path) -> None:
    _train(tmp_path / "whole", [])
    folder = tmp_path / "full"
    save = SaveCheckpoints(str(folder), every_n_steps=INTERVAL, on_save_error="warn")
    faults = [at("flush", "ENOSPC", step=step) for step in (5, 10, 30, 55)]
    child = fork(lambda: _to(folder, STEPS, save=save), faults=faults)
    assert exit_code(child) == 0
    assert_equal(state(folder), state(tmp_path / "whole"))


def _until_signalled(folder: Path, callbacks: list[Callback], **settings: Any) -> None:
    terminate = TerminateWithCheckpoint()
    train(folder, 100_000, every=None, callbacks=[*callbacks, terminate], **settings)


def test_c9_twenty_signals_at_random_times(tmp_path: Path) -> None:
    chance = random.Random(9)
    for number in range(20):
        folder, counter = tmp_path / str(number), CountSteps()
        child = fork(lambda f=folder, c=counter: _until_signalled(f, [c]))
        wanted = chance.randint(1, 40)
        wait_until(child, lambda c=counter, w=wanted: c.done.value >= w)
        time.sleep(chance.uniform(0, 0.02))
        done = counter.done.value
        os.kill(child, chance.choice((signal.SIGTERM, signal.SIGUSR1)))
        assert exit_code(child) == 143
        assert newest_step(folder) == counter.done.value
        assert newest_step(folder) - done <= 2  # the step it was in, and that of a late look


@pytest.mark.parametrize("ranks", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_c9_two_ranks_end_together(
    tmp_path: Path, ranks: tuple[int, ...], number: signal.Signals
) -> None:
    for turn in range(3):
        found = signal_ranks(tmp_path / str(turn), ranks, number, after_steps=2 + 3 * turn)
        assert found == Signalled(codes=(143, 143), is_alone=True, has_current_step=True)
        assert len(checkpoints_in(tmp_path / str(turn))) == 1
