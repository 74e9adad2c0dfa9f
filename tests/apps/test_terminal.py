"""What is on the screen before a verb has done anything."""

import subprocess
import sys

import pytest
from tqdm import tqdm

from mmdiff.values import progress

FIRST = """
import io, sys, time

class Screen(io.TextIOBase):
    def write(self, text):
        loaded = "torch" in sys.modules
        sys.__stdout__.write(f"{text.strip()}|{loaded}|{time.process_time()}")
        sys.__stdout__.flush()
        sys.stderr = sys.__stderr__
        raise SystemExit(0)

sys.stdout = sys.stderr = Screen()
from mmdiff.__main__ import main
main(sys.argv[1:])
"""
VERBS = [
    ["generate", "prompt=a red circle", "scheduler=dpmpp_2m", "guidance=skip_layer"],
    ["train", "experiment=bounce/vocoder"],
    ["encode"],
]


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words[0])
def test_a_verb_says_what_it_does_before_it_loads_libraries(words, tmp_path):
    """A second on an idle machine; here in time of the process, and twice as much. In a process of
    its own: in this one the libraries are loaded."""
    command = [sys.executable, "-c", FIRST, *words, f"output_dir={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.stdout, done.stderr
    text, is_loaded, seconds = done.stdout.split("|")
    assert text.startswith("loading")
    assert is_loaded == "False"
    assert float(seconds) < 2


def test_off_a_terminal_each_state_of_the_bar_is_a_line(capsys, monkeypatch):
    monkeypatch.setitem(progress.SECONDS_BETWEEN, "line", 0)
    line = "step {n_fmt} of {total_fmt}, {remaining} left"
    with tqdm(total=3, **progress.bar_arguments("sampling", line=line)) as bar:
        for _ in range(3):
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "sampling: step 0 of 3, ? left"
    assert lines[-1] == "sampling: step 3 of 3, 00:00 left"
    assert not any("\r" in line for line in lines)


@pytest.mark.slow
def test_a_mistake_in_several_processes_is_one_screen(tmp_path):
    words = ["experiment=bounce/vocoder", "trainer=ddp", "data.batch_size=3", "max_steps=1"]
    command = [sys.executable, "-m", "mmdiff", "train", *words, f"output_dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    loading, error, rank, *rest = done.stderr.splitlines()
    assert loading == "loading libraries"
    assert error.startswith("mmdiff train: batch_size is 3; ") and error.endswith(": 4")
    assert "failed first" in rank
    shown = done.stdout.replace("[default0]:", "")  # torch's mark of an empty line of rank 0
    assert rest == [] and shown.strip() == ""
