"""I6, D1: without network or home, `generate` works, and two processes make equal files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmdiff.__main__ import main
from tests.pipelines.tiny import tiny_pipeline

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import socket, sys

class NoNetwork(OSError):
    pass

def refuse(*arguments, **options):
    raise NoNetwork("the network is blocked")

for name in ("connect", "connect_ex", "sendto", "bind"):
    setattr(socket.socket, name, refuse)
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse

import torch
torch.set_num_threads(1)
from mmdiff.apps import generate
sys.exit(generate.main(sys.argv[1:]))
"""


def _started(folder, words):
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "HOME": "/dev/null",  # nothing can be made below it, not even by root
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_i6_d1_offline_and_homeless_two_processes_make_equal_files(tmp_path):
    tiny_pipeline().save_pretrained(tmp_path / "model")
    words = ["prompt=a small red circle", "seed=3", "checkpoint=../model", "output=clip.mp4"]
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    runs = [_started(folder, words) for folder in folders]
    for run in runs:
        said, _ = run.communicate(timeout=300)
        assert run.returncode == 0, said
    for name in ("clip.mp4", "clip.json", "clip.storyboard.png"):
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second and len(first) > 100, name


@pytest.mark.slow
def test_i6_the_bundled_model_needs_no_network(tmp_path):
    words = ["prompt=a small red circle", "num_inference_steps=1", "num_frames=5"]
    run = _started(tmp_path, [*words, "output=clip.mp4"])
    said, _ = run.communicate(timeout=300)
    assert run.returncode == 0, said
    assert (tmp_path / "clip.mp4").stat().st_size > 100


def test_i6_a_hub_name_without_network_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["generate", "prompt=a", "checkpoint=nobody/nothing", "output=clip.mp4"]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "neither a folder here" in said and "check the name and the network" in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())
