"""The five commands of the README's "On your own clips", and the clip that comes out."""

import csv
import shlex
from pathlib import Path

import pytest
from PIL import Image

from mmdiff.__main__ import main
from mmdiff.apps.compose import composed, resolved
from mmdiff.data.latent_cache import LatentCache
from mmdiff.media.clip import Clip
from tools.write_bounce import write_bounce

SPEC = ["data.spec.num_frames=9", "data.spec.height=32", "data.spec.width=32"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of the bounce world, two images and a clip of which only the start is there."""
    root = tmp_path_factory.mktemp("clips")
    write_bounce(root, num_clips=4)
    whole = (root / "00000.mp4").read_bytes()
    (root / "cut_off.mp4").write_bytes(whole[: len(whole) // 2])
    with (root / "metadata.csv").open("a", newline="") as file:
        csv.writer(file).writerow(["cut_off.mp4", "a clip that is not all there"])
        for name in ("blue.png", "red.png"):
            Image.new("RGB", (40, 32), name.removesuffix(".png")).save(root / name)
            csv.writer(file).writerow([name, "a plain color"])
    return root


@pytest.mark.slow
def test_each_verb_says_the_next_command_from_a_folder_to_a_clip_of_its_model(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["data=folder", f"data.root={clips}", "data.max_bad_fraction=0.5", *SPEC]
    small = ["data.batch_size=2", "data.num_workers=0", "max_steps=2", "trainer.precision=32-true"]

    def run(*words: str) -> list[str]:
        """The words of the command that is said to come next."""
        assert main(words) == 0
        last = capsys.readouterr().out.strip().splitlines()[-1]
        assert last.startswith("next: mmdiff ")
        return shlex.split(last.removeprefix("next: mmdiff "))

    vae_run, cache, own = (tmp_path / name for name in ("own vae", "cache", "own"))
    train = run("data-check", *files, "num_workers=1", f"output_dir={tmp_path / 'check'}")
    encode = run(*train, *small, f"output_dir={vae_run}")
    encode += [f"folder={cache}", f"output_dir={tmp_path / 'encode'}"]
    train = run(*encode)
    assert len(LatentCache(cache).entries()) == 6
    assert {shard.shapes["video"] for shard in LatentCache(cache).shards()} == {
        *((16, 3, 4, 4), (16, 1, 4, 4))
    }
    export = run(*train, *small, f"output_dir={own}")
    assert f"vae_run={vae_run / 'components/vae'}" in export
    words = [word for word in export if not word.startswith("vae_run=")]
    assert main(words) == 2  # its latents are not those of the bundled autoencoder
    capsys.readouterr()
    generate = run(*export)

    clip = tmp_path / "clip.mp4"
    words = [f"output={clip}", "num_inference_steps=2", "seed=1", "overwrite=true"]
    assert main([*generate, *words]) == 0  # of the size that it was trained on
    made = Clip.load(clip)
    assert made.frames is not None and made.waveform is not None
    assert made.frames.shape == (9, 32, 32, 3)
    assert "no training caption holds" not in capsys.readouterr().err
    words[-2] = "prompt=a zebra"
    assert main([*generate[:2], *words]) == 0
    assert "no training caption holds: zebra" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment", ["finetune/diffusion", "bounce/diffusion", "bounce/video_autoencoder"]
)
def test_any_experiment_takes_clips_of_a_folder(
    clips: Path, tmp_path: Path, experiment: str
) -> None:
    words = ["data=folder", f"data.root={clips}", "data.max_bad_fraction=0.5", *SPEC]
    words += ["data.batch_size=2", "data.num_workers=0", "max_steps=2", f"output_dir={tmp_path}"]
    if experiment.endswith("autoencoder"):
        words.append("module.scaling_batches=1")
    assert main(["train", f"experiment={experiment}", *words]) == 0
    assert list((tmp_path / "components").iterdir())


def test_the_bounce_world_is_encoded_where_no_data_is_chosen(tmp_path: Path) -> None:
    words = [f"folder={tmp_path}", "dataset.num_clips=2", f"output_dir={tmp_path / 'encode'}"]
    assert main(["encode", "batch_size=2", *words]) == 0
    assert len(LatentCache(tmp_path).entries()) == 2


def test_what_is_not_given_comes_from_the_bundled_model(tmp_path: Path) -> None:
    config = resolved(composed("encode"), "encode")
    assert Path(config["vae"]).is_dir() and Path(config["audio_vae"]).is_dir()
    words = [f"diffusion_run={tmp_path}", f"output_dir={tmp_path / 'out'}"]
    config = resolved(composed("export", words), "export")
    assert (Path(config["vocoder_run"]) / "vocoder/config.json").is_file()
    words = ["experiment=finetune/audio_autoencoder", "data.root=clips"]
    config = resolved(composed("train", words), "train")
    assert (Path(config["autoencoder"]["folder"]) / "config.json").is_file()


@pytest.fixture(scope="module")
def one_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("one")
    write_bounce(root, num_clips=1)
    return root


@pytest.mark.parametrize(
    "verb, words, told",
    [
        ("encode", ["data.spec.sample_rate=8000"], ["data.spec.sample_rate", "mel.sample_rate"]),
        ("encode", ["data.spec.frame_rate=8"], ["data.spec.frame_rate", "latents is 16"]),
        ("encode", ["mel.hop_length=0"], ["hop_length"]),
        ("encode", ["max_bad_fraction=5"], ["max_bad_fraction is 5"]),
        ("encode", ["device=tpu"], ["device is tpu; possible is auto, cpu or cuda"]),
        ("encode", ["shard_size=-1"], ["shard_size is -1"]),
        ("encode", ["batch_size=0"], ["batch_size is 0"]),
        ("encode", ["folder=''"], ["folder is empty"]),
        ("encode", ["data.root=''"], ["root is empty"]),
        ("data-check", ["num_workers=-1"], ["num_workers is -1"]),
        ("data-check", ["data.batch_size=0"], ["batch_size is 0"]),
        ("data-check", ["data.num_workers=-1"], ["num_workers is -1"]),
        ("train", ["data.timeout_seconds=0", "data.num_workers=0"], ["timeout_seconds is 0"]),
        ("train", ["data.batch_size=2"], ["1 samples, fewer than one batch of 2"]),
    ],
    ids=str,
)
def test_v10_what_cannot_be_is_told_before_the_first_step(
    one_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], verb, words, told
) -> None:
    given = ["data=folder", f"data.root={one_clip}", f"output_dir={tmp_path / 'out'}", *words]
    if verb == "train":
        given += ["experiment=bounce/video_autoencoder", "max_steps=1"]
    if verb == "encode" and "folder=''" not in words:
        given.append(f"folder={tmp_path / 'cache'}")
    assert main([verb, *given]) == 2
    shown = capsys.readouterr().err
    assert all(text in shown for text in told), shown
    assert "Traceback" not in shown
    assert not (tmp_path / "cache").exists()
