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
    ["generate", "prompt=a red circle"],
    ["generate", "prompt=a red circle", "scheduler=dpmpp_2m", "guidance=skip_layer"],
    ["generate", "image=missing.png"],
    ["train", "experiment=bounce/vocoder"],
    ["encode"],
    ["evaluate"],
    ["export", "diffusion_run=missing"],
    ["data-check", "data.root=missing"],
]


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_says_what_it_does_before_it_loads_libraries(words, tmp_path):
    """A second on an idle machine; here in time of the process, and twice as much."""
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
