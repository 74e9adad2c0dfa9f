"""S3 where a component is loaded by itself: whole, finite, and from safetensors or not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5EncoderModel

from mmdiff.apps.export import load_component
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.data.clip_encoder import ClipEncoder
from mmdiff.text.encoder import saved_text_encoder
from mmdiff.training.saved import saved_audio_autoencoder, saved_video_autoencoder, saved_vocoder
from mmdiff.training.warm_start import grown_transformer
from mmdiff.values.saved_component import saved_component
from tests.pipelines.tiny import tiny_pipeline

OURS, THEIRS = "diffusion_pytorch_model", "model"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved")
    tiny_pipeline().save_pretrained(path)
    return path


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "copy")


DOORS: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "encode, picture": ("vae", OURS, lambda f: encoder_of(f)),
    "encode, sound": ("audio_vae", OURS, lambda f: encoder_of(f)),
    "train, picture": ("vae", OURS, lambda f: saved_video_autoencoder(str(f / "vae"))),
    "train, sound": ("audio_vae", OURS, lambda f: saved_audio_autoencoder(str(f / "audio_vae"))),
    "train, vocoder": ("vocoder", OURS, lambda f: saved_vocoder(str(f / "vocoder"))),
    "train, transformer": (
        "transformer",
        OURS,
        lambda f: grown_transformer(str(f), time_attention_every=1),
    ),
    "text": ("text_encoder", THEIRS, lambda f: saved_text_encoder(str(f))),
    "export": ("transformer", OURS, lambda f: load_component("transformer", f / "transformer")),
}


def encoder_of(folder: Path) -> ClipEncoder:
    return ClipEncoder.from_folders(str(folder / "vae"), str(folder / "audio_vae"), LogMel())


def changed(path: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


@pytest.mark.parametrize("door", DOORS)
def test_s3_every_door_takes_what_is_whole_and_refuses_pickles(copy: Path, door: str) -> None:
    part, name, load = DOORS[door]
    assert load(copy) is not None
    weights = load_file(copy / part / f"{name}.safetensors")
    (copy / part / f"{name}.safetensors").unlink()
    pickle = "pytorch_model.bin" if name == THEIRS else f"{OURS}.bin"
    torch.save(weights, copy / part / pickle)
    with pytest.raises(OSError, match=r"safetensors"):
        load(copy)


@pytest.mark.parametrize("kind", [VideoAutoencoder, T5EncoderModel])
def test_s3_missing_extra_and_non_finite_weights_are_refused(copy: Path, kind: Any) -> None:
    is_ours = kind is VideoAutoencoder
    folder = copy / ("vae" if is_ours else "text_encoder")
    path = folder / f"{OURS if is_ours else THEIRS}.safetensors"
    good = path.read_bytes()
    name = sorted(load_file(path))[0]
    damages: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
        rf"{name} is missing": lambda weights: weights.pop(name),
        "more.weight is of nothing": lambda weights: weights.update({"more.weight": torch.ones(2)}),
        rf"{name} is NaN or infinite": lambda weights: weights[name].fill_(torch.nan),
    }
    for said, damage in damages.items():
        path.write_bytes(good)
        changed(path, damage)
        with pytest.raises(ValueError, match=rf"{folder} holds no whole {kind.__name__}: .*{said}"):
            saved_component(kind, folder)
