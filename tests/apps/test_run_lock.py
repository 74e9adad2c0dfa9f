"""P8: two trainings in one folder do not ruin each other."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmdiff.__main__ import main
from mmdiff.apps.run_lock import run_lock
from mmdiff.values.usage_error import UsageError

HOLDS = """
import os, sys, time
from pathlib import Path
from mmdiff.apps.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    if os.fork() == 0:
        time.sleep(60)  # as a loader's worker that outlives its parent for a while
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_p8_a_second_run_is_refused_and_told_which_process_is_there(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(UsageError, match=f"trained in by process {holder.pid}"), run_lock(tmp_path):
        raise AssertionError("two at once")


def test_p8_a_run_that_was_killed_holds_nothing(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    holder.kill()
    holder.wait()
    with run_lock(tmp_path):
        pass
    with run_lock(tmp_path):  # nor does one that has ended
        pass


def test_p8_train_is_refused_before_anything_is_written(
    tmp_path: Path, holder: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "experiment=bounce/vocoder", f"output_dir={tmp_path}"]
    assert main(words) == 2
    assert f"process {holder.pid}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_p8_nothing_of_a_run_is_touched_before_its_lock_is_held(
    tmp_path: Path, holder: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """What a second run would sweep is the save of the first that is being written."""
    saving = tmp_path / "checkpoints" / "step_00000010.tmp"
    saving.mkdir(parents=True)
    (saving / "weights.safetensors").write_bytes(b"half")
    words = ["train", "experiment=bounce/vocoder", f"output_dir={tmp_path}"]
    assert main(words) == 2
    assert (saving / "weights.safetensors").read_bytes() == b"half"
    assert f"process {holder.pid}" in capsys.readouterr().err
