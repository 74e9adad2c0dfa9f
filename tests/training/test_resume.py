"""A run that was cut short and resumed equals the unbroken one, bit for bit."""

import os
import signal
import time
from pathlib import Path

import pytest

from mmdiff.training import checkpoint_folder
from mmdiff.training.checkpoint_folder import checkpoints_in, latest_checkpoint
from tests.training.tiny import assert_equal, state, train


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_c3_resumed_equals_unbroken_at_any_place(
    tmp_path: Path, accumulate: int, workers: int
) -> None:
    """An epoch has 5 batches, so the places lie before, at and after its end."""
    whole = train(tmp_path / "whole", 8, accumulate=accumulate)
    cuts = (1, 4, 5, 6) if workers == 0 else (5,)
    for cut in cuts:
        folder = tmp_path / f"cut{cut}"
        first = train(folder, cut, accumulate=accumulate, workers=workers)
        second = train(folder, 8, accumulate=accumulate, workers=workers, global_seed=99)
        assert first.seen + second.seen == whole.seen
        assert_equal(state(folder), state(tmp_path / "whole"))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_c1_killed_and_resumed_equals_unbroken(tmp_path: Path, accumulate: int) -> None:
    """Killed with -9 wherever it stands, also inside a save, until the run is through."""
    train(tmp_path / "whole", 40, accumulate=accumulate, every=5)
    folder, kills = tmp_path / "killed", 0
    for attempt in range(30):
        child = _fork(folder, accumulate=accumulate)
        if attempt < 8:
            time.sleep(0.05 + 0.13 * attempt)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        kills += os.WIFSIGNALED(status)
        if status == 0:
            break
        assert os.WIFSIGNALED(status)
    assert kills >= 2
    assert_equal(state(folder), state(tmp_path / "whole"))


def _fork(folder: Path, *, accumulate: int) -> int:
    child = os.fork()
    if child:
        return child
    import torch

    code, flush = 1, checkpoint_folder._flush
    try:
        torch.set_num_threads(1)
        # slow enough that about half of the kills fall into a save
        checkpoint_folder._flush = lambda path: (time.sleep(0.005), flush(path))[1]
        train(folder, 40, accumulate=accumulate, every=5)
        code = 0
    finally:
        os._exit(code)


def test_c5_damaged_checkpoints_are_skipped_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tmp_path, 2)
    weights = "weights.safetensors"
    for number, harm in enumerate((_truncate, _empty, _flip, Path.unlink, _foreign)):
        train(tmp_path, 3 + number)
        newest, previous = checkpoints_in(tmp_path)[:2]
        name = "manifest.json" if harm is _foreign else weights
        harm(newest / name)
        caplog.clear()
        assert latest_checkpoint(tmp_path) == previous
        assert str(newest) in caplog.text
        with pytest.raises(ValueError, match=newest.name):
            latest_checkpoint(tmp_path, strict=True)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _foreign(path: Path) -> None:
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 99'))


def test_c7_never_fewer_than_keep_last(tmp_path: Path) -> None:
    train(tmp_path, 6)
    assert [path.name for path in checkpoints_in(tmp_path)] == [
        f"step_{step:08d}" for step in (6, 5, 4)
    ]


def test_c13_leftovers_are_swept(tmp_path: Path) -> None:
    train(tmp_path, 1)
    (tmp_path / "step_00000009.tmp").mkdir()
    train(tmp_path, 2)
    assert not list(tmp_path.glob("*.tmp"))
