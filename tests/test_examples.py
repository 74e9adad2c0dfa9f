"""The scripts under examples/ run as they stand."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from mmdiff import MMDiffPipeline
from mmdiff.media.clip import Clip
from tools.write_bounce import write_bounce

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.slow
def test_the_examples_make_clips_with_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names = ("made.mp4", "conditioned.mp4", "first.png", "sound.wav")
    made, conditioned, image, sound = (str(tmp_path / name) for name in names)
    run(monkeypatch, "generate.py", made)
    clip = Clip.load(made)
    assert clip.shape == (33, 64, 64)
    clip.frame(0).save(image)
    clip.save(sound)
    run(
        monkeypatch,
        "conditions.py",
        str(tmp_path / "first.png"),
        str(tmp_path / "sound.wav"),
        conditioned,
    )
    second = Clip.load(conditioned)
    assert (second.frames[0].int() - clip.frames[0].int()).abs().float().mean() < 2  # of 255
    seconds = min(second.num_samples, clip.num_samples)
    given, heard = (part.waveform.mean(0)[:seconds] for part in (clip, second))
    assert torch.corrcoef(torch.stack([given, heard]))[0, 1] > 0.95


@pytest.mark.slow
def test_a_guider_of_ones_own_guides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run(monkeypatch, "own_guider.py", str(tmp_path / "guided.mp4"))
    assert Clip.load(tmp_path / "guided.mp4").shape == (33, 64, 64)


@pytest.mark.slow
def test_a_folder_is_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_bounce(tmp_path / "clips", num_clips=4)
    run(monkeypatch, "train_on_folder.py", "clips", "pipeline", "1")
    before, after = (MMDiffPipeline.from_pretrained(path).vae for path in (None, "pipeline"))
    weights = dict(before.named_parameters())
    assert any(not torch.equal(weights[name], one) for name, one in after.named_parameters())


@pytest.mark.slow
def test_a_third_modality_is_learned_without_an_edit_of_the_trunk():
    main = runpy.run_path(str(EXAMPLES / "own_modality.py"))["main"]
    assert main(60) < 0.7  # of the distance of a guess; 0.37 after 100 steps
