"""`import mmdiff` costs nothing, and its names are there when they are asked for."""

import subprocess
import sys
import time
from importlib import import_module

import pytest

import mmdiff

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
