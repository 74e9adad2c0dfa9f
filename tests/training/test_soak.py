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
from collections.abc import Sequence
from pathlib import Path

import pytest
from einops import rearrange
from PIL import Image

from mmdiff.data.batch import LatentBatch
from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.data.files.file_clips import FileClips
from mmdiff.data.files.listed_clips import ListedClips
from mmdiff.training.callbacks.finite_guard import FiniteGuard
from mmdiff.training.callbacks.terminate import TerminateWithCheckpoint
from mmdiff.values.latents import ClipLatents
from mmdiff.values.sample import Sample
from tests.data.listed import Listed
from tests.training.forked import CountSteps, exit_code, fork, newest_step, wait_until
from tests.training.tiny import TinyModule, assert_equal, state, train

INTERVAL = 20  # steps from save to save; a fault about every 100
ENDS = {"kill": -signal.SIGKILL, "term": 143, "disk": 1, "nan": 1}
NUM_FILES = 22
_log = logging.getLogger("mmdiff")


class VectorsOfFiles(FileClips):
    """What `TinyModule` takes, of images of 1 x 2 pixels."""

    def collate(self, items: Sequence[tuple[int, Sample]]) -> LatentBatch:
        batch = super().collate(items)
        rows = rearrange(batch.picture / 127.5 - 1, "b 1 h w c -> b (h w c)")
        return LatentBatch(ClipLatents(video=rows), batch.captions, batch.sample_ids)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder, chance = tmp_path / "files", random.Random(5)
    folder.mkdir()
    for index in range(NUM_FILES):
        image = Image.new("RGB", (2, 1))
        image.putdata([tuple(chance.randbytes(3)) for _ in range(2)])
        image.save(folder / f"{index:02d}.png")
    for index, content in ((3, b""), (11, (folder / "11.png").read_bytes()[:50])):
        (folder / f"{index:02d}.png").write_bytes(content)
    return folder


@pytest.mark.soak
def test_random_faults_end_where_no_fault_ends(tmp_path: Path, files: Path) -> None:
    seconds = float(os.environ.get("MMDIFF_SOAK_SECONDS", 120))
    chance = random.Random(int(os.environ.get("MMDIFF_SOAK_SEED", 0)))
    folder, struck, deadline = tmp_path / "faults", Counter[str](), time.monotonic() + seconds
    while time.monotonic() < deadline:
        kind = chance.choice(list(ENDS))
        _strike(folder, files, kind, newest_step(folder) + chance.randint(1, 200), chance)
        struck[kind] += 1
    end = newest_step(folder) + INTERVAL
    assert exit_code(fork(lambda: _train(folder, files, end, CountSteps()))) == 0
    whole = {"every": None, "module": TinyModule(steps=100_000), "dataset": _dataset(files)}
    train(tmp_path / "whole", end, **whole)
    assert_equal(state(folder), state(tmp_path / "whole"))
    assert not list(folder.glob("*.*"))
    _log.warning("%d steps with faults: %s", end, dict(struck))


def _dataset(files: Path) -> VectorsOfFiles:
    names = [f"{index:02d}.png" for index in range(NUM_FILES)]
    spec = ClipSpec(1, height=1, width=2, sound="ignored", crop="random")
    return VectorsOfFiles(ListedClips(Listed(files, names), spec), seed=3, max_bad_fraction=0.2)


def _train(folder: Path, files: Path, steps: int, counter: CountSteps) -> None:
    callbacks = [counter, FiniteGuard(), TerminateWithCheckpoint()]
    settings = {"module": TinyModule(steps=100_000), "dataset": _dataset(files)}
    train(folder, steps, every=INTERVAL, callbacks=callbacks, **settings)


def _strike(folder: Path, files: Path, kind: str, step: int, chance: random.Random) -> None:
    """Go on, until a fault of this kind strikes at `step`; little is lost, and nothing is
    broken."""
    counter, before = CountSteps(), newest_step(folder)
    child = fork(lambda: _train(folder, files, 10**6, counter), faults=_plan(kind, step, chance))
    if kind in ("kill", "term"):
        wait_until(child, lambda: counter.done.value >= step)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL if kind == "kill" else signal.SIGTERM)
    assert exit_code(child) == ENDS[kind], kind
    after, done = newest_step(folder), counter.done.value
    assert before <= after and done - after <= (0 if kind == "term" else INTERVAL)


def _plan(kind: str, step: int, chance: random.Random) -> str:
    if kind == "nan":
        return f"nan train.{chance.choice(('loss', 'loss.audio', 'gradient'))} step={step}"
    if kind == "disk":
        point = chance.choice(("write", "written", "flush", "manifest", "publish", "replace"))
        return f"enospc checkpoint.{point} step={-(-step // INTERVAL) * INTERVAL}"
    return "slow checkpoint.* seconds=0.002"
