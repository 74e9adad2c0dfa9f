"""Every snippet of the README and of the pages under docs/ runs as it stands.

Blocks of python are run for real, one after the other, as a reader types them. Blocks of bash are
read by bash itself, with `mmdiff` in place of a function that notes its words; each command is then
run in this process, in its order. What would take hours ends early by words that are added behind
(`FEW`); what installs, and the programs under tools/, are for CI (`NOT_HERE`). A name of a reader's
own file stands for one that `given` makes.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmdiff.__main__ import main
from mmdiff.media.clip import Clip
from tools.write_bounce import write_bounce

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
NOT_HERE = ("python3", "python", "pip", "pytest", ".", "source", "cd")
FEW = {
    "train": ["max_steps=1", "data.num_workers=0", "data.batch_size=4"],
    "encode": ["num_workers=0", "shard_size=32"],
    "generate": ["num_inference_steps=2"],
    "evaluate": ["evaluation=bounce_quick", "num_inference_steps=2"],
}
NUM_CLIPS = 8


def blocks(language: str) -> list[str]:
    """The fenced blocks of all pages in their order."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(folder: Path) -> list[list[str]]:
    """The words of every `mmdiff` command of the pages, as bash hands them over."""
    record = folder / "words"
    record.touch()
    skipped = "\n".join(f"function {name} {{ :; }}" for name in NOT_HERE)
    noted = 'function mmdiff { printf "%s\\0" "$@" "" >> "$RECORD"; }'
    for block in blocks("bash"):
        script = f"set -e\n{skipped}\n{noted}\n{block}"
        environment = {**os.environ, "RECORD": str(record)}
        subprocess.run(["bash", "-c", script], check=True, cwd=folder, env=environment, timeout=60)
    runs = record.read_text(encoding="utf-8").split("\0\0")
    return [run.split("\0") for run in runs if run]


def few(words: list[str]) -> list[str]:
    """The words that end a command early."""
    if not set(words).isdisjoint({"--help", "--cfg", "--info"}):
        return []
    added = list(FEW.get(words[0], []))
    if words[0] == "train" and any("autoencoder" in word for word in words):
        added.append("module.scaling_batches=1")
    if words[0] == "encode" and not any(word.startswith("data=") for word in words):
        added.append(f"dataset.num_clips={NUM_CLIPS}")
    return added


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that a reader of the README has of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    write_bounce(tmp_path / "clips", num_clips=NUM_CLIPS)
    whole = Clip.load(tmp_path / "clips" / "00000.mp4")
    whole.save("track.wav")
    Clip(whole.frames, whole.fps).save("silent.mp4")
    for name in ("first.png", "cat.png", "square.png"):
        Image.fromarray(torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()).save(name)
    (tmp_path / "prompts.txt").write_text("a red circle\na blue square\n")
    return tmp_path


def test_the_readme_has_snippets_and_bash_reads_them(tmp_path: Path) -> None:
    assert blocks("python")
    verbs = {words[0] for words in commands(tmp_path)}
    assert {"generate", "train", "encode", "export", "evaluate", "doctor", "data-check"} <= verbs


@pytest.mark.slow
def test_every_block_of_python_runs(given: Path) -> None:
    namespace: dict[str, object] = {}
    for index, block in enumerate(blocks("python")):
        exec(compile(block, f"block {index} of python", "exec"), namespace)
    assert list(given.glob("*.mp4"))


@pytest.mark.slow
def test_every_command_runs(given: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in commands(given):
        code = main([*words, *few(words)])
        screen = capsys.readouterr()
        assert code == 0, f"mmdiff {' '.join(words)}\n{screen.out}\n{screen.err}"
