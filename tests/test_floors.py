"""The package keeps the law of floors, and the tool that says so sees what breaks it."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import floors  # noqa: E402


def test_s13_the_package_keeps_the_law():
    found = floors.violations(ROOT / "mmdiff")
    assert not found, "\n".join(map(str, found))


def test_every_room_has_a_floor():
    rooms = {path.parent.name for path in (ROOT / "mmdiff").glob("*/__init__.py")}
    assert rooms <= set(floors.FLOORS)


BREAKS = {
    "above": ("values/a.py", "from mmdiff.media.clip import Clip", "above it"),
    "peer": ("text/a.py", "import mmdiff.diffusion.noise", "a peer"),
    "inside_function": ("media/a.py", "def f():\n    from mmdiff.apps.run import x", "above it"),
    "type_checking": (
        "values/a.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mmdiff.apps.run import x",
        "above it",
    ),
    "public_name": ("media/a.py", "from mmdiff import Clip", "from the file that defines"),
    "relative": ("media/a.py", "from .clip import Clip", "absolute"),
    "unknown_room": ("attic/a.py", "import mmdiff.values.shapes", "no room"),
    "lightning": ("diffusion/a.py", "import lightning.pytorch as pl", "lightning is for"),
    "lightning_in_data": ("data/a.py", "from lightning import LightningModule", "lightning is for"),
    "hydra": ("training/a.py", "from hydra.utils import instantiate", "hydra is for"),
    "omegaconf": ("data/a.py", "import omegaconf", "omegaconf is for"),
    "av": ("data/a.py", "import av.container", "av is for"),
    "imageio": ("apps/a.py", "import imageio.v3 as iio", "imageio is for"),
    "transformers": ("backbone/a.py", "from transformers import T5Config", "transformers is for"),
    "pipeline": ("training/a.py", "from diffusers import DiffusionPipeline", "is for pipelines"),
    "scheduler": ("training/a.py", "from diffusers.schedulers import x", "is for diffusion/"),
    "print": ("media/a.py", "print(1)", "print()"),
    "exception": ("media/a.py", "try:\n    x = 1\nexcept Exception:\n    x = 2", "name the errors"),
    "bare": ("media/a.py", "try:\n    x = 1\nexcept:\n    x = 2", "bare except"),
    "in_tuple": ("media/a.py", "try:\n    x=1\nexcept (ValueError, Exception):\n    x=2", "hides"),
    "pickle": ("media/a.py", "import pickle", "pickle runs what it reads"),
    "pickle_from": ("media/a.py", "from pickle import load as read", "pickle runs what it reads"),
    "dill": ("media/a.py", "import dill as d", "dill runs what it reads"),
    "marshal": ("media/a.py", "import marshal", "marshal runs what it reads"),
    "torch_load": ("training/a.py", "torch.load('x', weights_only=True)", "torch.load()"),
    "torch_load_from": ("training/a.py", "from torch import load", "torch.load()"),
    "torch_hub": ("text/a.py", "torch.hub.load('a/b', 'c')", "torch.hub.load()"),
    "yaml": ("apps/a.py", "yaml.load(text, Loader=yaml.Loader)", "yaml.load()"),
    "import": ("apps/a.py", "__import__('os')", "__import__()"),
    "system": ("apps/a.py", "os.system('x')", "os.system()"),
    "system_from": ("apps/a.py", "from os import system", "os.system()"),
    "popen": ("apps/a.py", "os.popen('x')", "os.popen()"),
    "exec": ("apps/a.py", "exec('1')", "exec()"),
    "no_safetensors": ("text/a.py", "f(use_safetensors=False)", "use_safetensors=False"),
    "weights_only": ("media/a.py", "torch.load('x', weights_only=False)", "weights_only=False"),
    "remote_code": ("text/a.py", "f(trust_remote_code=True)", "trust_remote_code=True"),
    "shell": ("media/a.py", "run('x', shell=True)", "shell=True"),
    "allow_pickle": ("media/a.py", "np.load('x', allow_pickle=True)", "allow_pickle=True"),
    "eval": ("media/a.py", "eval('1')", "eval()"),
    "utils": ("media/utils.py", "x = 1", "names no concept"),
    "init": ("media/__init__.py", "from mmdiff.values.shapes import ClipShape", "one docstring"),
}


@pytest.mark.parametrize("path, code, reason", BREAKS.values(), ids=BREAKS)
def test_s13_violations_are_seen(tmp_path, path, code, reason):
    file = tmp_path / "mmdiff" / path
    file.parent.mkdir(parents=True)
    file.write_text(f'"""A file."""\n{code}\n')
    found = floors.violations(tmp_path / "mmdiff")
    assert any(reason in str(violation) for violation in found), found
    assert floors.main([str(tmp_path / "mmdiff")]) == 1


ALLOWED = {
    "below": ("apps/a.py", "from mmdiff.media.clip import Clip"),
    "same_room": ("media/a.py", "from mmdiff.media.clip import Clip"),
    "model_eval": ("training/a.py", "model.eval()"),
    "data_module": ("data/datamodule.py", "import lightning.pytorch as pl"),
    "version": ("media/a.py", "from mmdiff import __version__"),
    "yaml": ("apps/a.py", "yaml.safe_load('x')"),
    "pattern": ("apps/a.py", "import re\nre.compile('x')"),
}


@pytest.mark.parametrize("path, code", ALLOWED.values(), ids=ALLOWED)
def test_what_is_allowed_passes(tmp_path, path, code):
    file = tmp_path / "mmdiff" / path
    file.parent.mkdir(parents=True)
    file.write_text(f'"""A file."""\n{code}\n')
    assert floors.main([str(tmp_path / "mmdiff")]) == 0


def test_a_file_needs_a_docstring(tmp_path):
    (tmp_path / "mmdiff" / "media").mkdir(parents=True)
    (tmp_path / "mmdiff" / "media" / "a.py").write_text("x = 1\n")
    assert "docstring" in str(floors.violations(tmp_path / "mmdiff")[0])
