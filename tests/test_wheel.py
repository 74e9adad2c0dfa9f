"""A built wheel, installed alone, has all it needs: configurations, the bundled model, a clip."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROMPT = "a small red circle bouncing up and down slowly on a black background, a low ping"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return next(folder.glob("mmdiff-*.whl"))


def test_the_wheel_holds_configurations_and_types(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"mmdiff/{path.relative_to(ROOT).as_posix()}" in names
    assert "mmdiff/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "tools/"))]
    for path in (ROOT / "mmdiff" / "pretrained").rglob("*"):
        assert path.is_dir() or path.relative_to(ROOT).as_posix() in names


@pytest.mark.slow
@pytest.mark.skipif(
    not (ROOT / "mmdiff" / "pretrained" / "bounce" / "model_index.json").is_file(),
    reason="there is no bundled model yet",
)
def test_the_wheel_alone_makes_a_clip(wheel, tmp_path):
    # The dependencies are those of this environment, by path; mmdiff is the wheel's and no other.
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    site = next((environment / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    words = ["generate", f"prompt={PROMPT}", "output=clip.mp4", "num_inference_steps=2"]
    ended = subprocess.run(
        [str(python), "-m", "mmdiff", *words],
        cwd=tmp_path,
        env={**variables, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "clip.mp4").stat().st_size > 1000
    where = subprocess.run(
        [str(python), "-c", "import mmdiff; print(mmdiff.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert str(site) in where.stdout
