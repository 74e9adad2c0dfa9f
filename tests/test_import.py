"""`import mmdiff` costs nothing, and its names are there when they are asked for."""

import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import mmdiff

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "lightning", "hydra", "omegaconf", "diffusers", "transformers", "numpy")


def test_f10_import_is_fast_and_light():
    code = (
        "import time; start = time.perf_counter(); import mmdiff, sys; "
        "seconds = time.perf_counter() - start; "
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]; "
        "sys.exit(f'{seconds:.3f} s, loaded {heavy}' if heavy or seconds > 0.5 else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_overview_needs_no_library():
    start = time.perf_counter()
    ended = subprocess.run([sys.executable, "-m", "mmdiff", "--help"], capture_output=True)
    assert ended.returncode == 0
    assert b"generate" in ended.stdout
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("name", [name for name in mmdiff.__all__ if name != "__version__"])
def test_every_public_name_is_there(name):
    found = getattr(mmdiff, name)
    assert found.__name__ == name
    assert getattr(import_module(found.__module__), name) is found
    assert name in dir(mmdiff)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'Clop'"):
        mmdiff.Clop  # noqa: B018


def test_every_module_imports():
    # each by itself is the business of the law of floors; here, that the libraries have its names
    for found in walk_packages(mmdiff.__path__, "mmdiff."):
        import_module(found.name)


# what a machine does where torchaudio is built for another torch
BROKEN = {
    "torchaudio": "import ctypes; ctypes.CDLL(__file__)",
    "hydra": "raise ImportError('no hydra here')",
}


@pytest.mark.parametrize("library", BROKEN)
@pytest.mark.parametrize(
    "verb",
    [
        ["generate", "prompt=a red circle"],
        ["train", "experiment=bounce/vocoder", "max_steps=1"],
        ["encode", "dataset.num_clips=1"],
        ["evaluate"],
    ],
    ids=lambda words: words[0],
)
def test_a_broken_installation_is_reported_on_one_screen(tmp_path, verb, library):
    broken = tmp_path / "packages" / library
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(BROKEN[library])
    ended = subprocess.run(
        [sys.executable, "-m", "mmdiff", *verb],
        env={**os.environ, "PYTHONPATH": f"{broken.parent}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "this installation is broken" in ended.stderr
    assert library in ended.stderr and "pip install" in ended.stderr
    assert "Traceback" not in ended.stderr and len(ended.stderr.splitlines()) <= 24
    assert not (tmp_path / "outputs").exists()
