"""A model measured on clips of one's own, as a user does it; no world behind them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from mmdiff.__main__ import main
from mmdiff.bounce.rebuilt import rebuilt_frames
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.file_data import FolderData
from mmdiff.diffusion.noise import NoiseKey
from mmdiff.diffusion.objective import DiffusionObjective
from mmdiff.evaluation.reconstruction import psnr
from mmdiff.media.clip import Clip
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents
from tests.pipelines.tiny import tiny_pipeline

SPEC = ["data.spec.num_frames=9", "data.spec.height=32", "data.spec.width=32"]
NAMES = ("a_sounding", "b_sounding", "c_silent", "d_without")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    tiny_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips (two with sound, one with silence, one without), an image and a damaged file."""
    root = tmp_path_factory.mktemp("clips")
    seconds = torch.arange(9000) / 16000
    tone = 0.3 * torch.sin(2 * torch.pi * 500 * seconds) * (seconds > 0.2)
    sounds = (tone[None], 0.5 * tone[None], torch.zeros(1, 9000), None)
    for index, (name, sound) in enumerate(zip(NAMES, sounds, strict=True)):
        frames = torch.zeros(9, 32, 32, 3, dtype=torch.uint8)
        for frame in range(9):
            frames[frame, 8:16, 2 * frame : 2 * frame + 8] = 60 * (index + 1)
        Clip(frames, 16, sound, None if sound is None else 16000).save(root / f"{name}.mp4")
    Image.new("RGB", (32, 32), "red").save(root / "e_image.png")
    (root / "f_damaged.mp4").write_bytes((root / "a_sounding.mp4").read_bytes()[:1500])
    for path in list(root.iterdir()):
        path.with_suffix(".txt").write_text("a square that moves")
    (root / "prompts.txt").write_text("a square that moves\n" * 4)
    (root / "videos.txt").write_text("".join(f"{name}.mp4\n" for name in NAMES))
    return root


def run(pipeline: Path, output: Path, *words: str) -> dict[str, Any]:
    settings = ["evaluation.num_made=3", "batch_size=2", f"output_dir={output}"]
    assert main(["evaluate", f"checkpoint={pipeline}", *SPEC, *settings, *words]) == 0
    return json.loads((output / "evaluation.json").read_text())


def test_each_measure_is_what_it_says(
    pipeline: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(pipeline, tmp_path, "data=folder", f"data.root={clips}")
    shown, results = capsys.readouterr().out, found["results"]
    assert "1 of 6 clips are left out; data-check says why" in " ".join(shown.split())
    count = {name: figure["value"] for name, figure in results["clips"].items()}
    assert count == {"clips": 5, "with video and audio": 3, "silent": 1}

    pipe = MMDiffPipeline.from_pretrained(pipeline)
    spec = ClipSpec(num_frames=9, height=32, width=32)
    listed = FolderData(root=str(clips), spec=spec, seed=0, batch_size=1).dataset.clips
    frames = [listed[index].frames for index in range(4)]
    each = [psnr(one, rebuilt_frames(pipe, one[None])[0]) for one in frames]
    worst = results["video_reconstruction"]["PSNR, worst clip"]
    assert worst["value"] == pytest.approx(min(each), abs=0.01) and worst["count"] == 4
    assert results["video_reconstruction"]["PSNR, median image"]["count"] == 1
    assert results["audio_reconstruction"]["log-mel error"]["count"] == 2
    assert results["audio_reconstruction"]["loudness of what was silent"]["count"] == 1
    assert [results["loss"][f"{name}, noise 0 to 0.2"]["count"] for name in ("video", "audio")] == [
        *(5, 3),
    ]
    assert results["steadiness"]["flicker, made"]["count"] == 3
    assert results["sync"]["clips with both, true"]["value"] == 0
    assert "no true clip has both onsets and changes of motion" in found["notes"]["sync"]


def test_the_loss_is_that_of_training_at_these_noise_levels(
    pipeline: Path, clips: Path, tmp_path: Path
) -> None:
    image = clips / "e_image.png"
    root = tmp_path / "one"
    root.mkdir()
    (root / image.name).write_bytes(image.read_bytes())
    (root / "e_image.txt").write_text("red")
    words = ["data=folder", f"data.root={root}", "evaluation.num_levels=2", "seed=3"]
    results = run(pipeline, tmp_path / "out", *words)["results"]
    pipe = MMDiffPipeline.from_pretrained(pipeline)
    frames = torch.tensor([255, 0, 0], dtype=torch.uint8).expand(1, 1, 32, 32, 3)
    with torch.no_grad():
        latents = pipe.vae.encode(frames.permute(0, 4, 1, 2, 3) / 127.5 - 1).mean
        tokens, mask, *_ = pipe.encode_prompt("red", do_classifier_free_guidance=False)
        losses, levels = DiffusionObjective().each(
            pipe.transformer,
            LatentState(ClipLatents(latents)),
            Context(tokens, mask),
            NoiseKey(3, 0, (image.name,)),
            quantiles=(0.5, 1.0),
        )
    assert 0.5 <= float(levels.video) <= 1
    figure = results["loss"]["video, noise 0.5 to 1"]["value"]
    assert figure == pytest.approx(float(losses["video"]), rel=1e-3)
    assert results["loss"]["audio, noise 0.5 to 1"]["value"] is None


def test_only_what_training_holds_out_is_measured(
    pipeline: Path, clips: Path, tmp_path: Path
) -> None:
    words = ["data=pairs", f"data.root={clips}", "data.val_clips=2", "evaluation.num_made=0"]
    found = run(pipeline, tmp_path, *words)
    assert found["results"]["clips"]["clips"]["value"] == 2
    assert "clips" not in found["notes"]


def test_what_cannot_be_measured_is_refused_by_name(
    pipeline: Path, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", f"checkpoint={pipeline}", f"output_dir={tmp_path}"]
    assert main([*words, "data=bounce_clips"]) == 2
    assert "data=folder, data=pairs, data=shards" in capsys.readouterr().err
    other = ["data=folder", f"data.root={clips}", "data.spec.frame_rate=8"]
    assert main([*words, *other]) == 2
    assert "data.spec.frame_rate=16" in capsys.readouterr().err
    assert main([*words, "evaluation=own_clips"]) == 2
    assert "data=folder" in capsys.readouterr().err
