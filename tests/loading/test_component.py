"""S2, S3, S4 where a component is loaded by itself: the same checks as in a pipeline's folder."""

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
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.backbone.transformer import DiffusionTransformer
from mmdiff.data.clip_encoder import ClipEncoder
from mmdiff.guidance.backbone_guiders import Autoguidance
from mmdiff.loading.component import saved_component
from mmdiff.loading.json_file import CheckpointError
from mmdiff.text.pretrained import saved_text_encoder
from mmdiff.training.warm_start import (
    grown_transformer,
    saved_audio_autoencoder,
    saved_autoencoder,
    saved_video_autoencoder,
    saved_vocoder,
)
from tests.loading.refused import refused_at_once
from tests.loading.test_pipeline import BY_NAME, edit_json
from tests.loading.test_safetensors_file import MALFORMED, a_million_tensors, file_of, tensor

OURS, THEIRS = "diffusion_pytorch_model", "model"


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
    "autoguidance": ("transformer", OURS, lambda f: Autoguidance(transformer=f)._model),
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
    with pytest.raises(CheckpointError, match=r"can hold code; mmdiff loads .*safetensors"):
        load(copy)


@pytest.mark.parametrize("kind", [VideoAutoencoder, T5EncoderModel])
def test_s3_missing_extra_and_non_finite_weights_are_refused(copy: Path, kind: Any) -> None:
    is_ours = kind is VideoAutoencoder
    folder = copy / ("vae" if is_ours else "text_encoder")
    path = folder / f"{OURS if is_ours else THEIRS}.safetensors"
    good = path.read_bytes()
    name = sorted(load_file(path))[0]
    damages: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
        rf"missing: {name}": lambda weights: weights.pop(name),
        "unexpected: more.weight": lambda weights: weights.update({"more.weight": torch.ones(2)}),
        rf"{name} holds NaN or infinity": lambda weights: weights[name].fill_(torch.nan),
    }
    for said, damage in damages.items():
        path.write_bytes(good)
        changed(path, damage)
        with pytest.raises(ValueError, match=rf"{path}.*{said}"):
            saved_component(kind, folder)


OF_A_COMPONENT = [  # of each check one damage; the others are tried on a pipeline's folder
    *("missing key", "nan in text", "truncated", "no weights", "no config", "config cut"),
    *("unknown key", "a million layers", "wrong type", "bin only", "an adapter in a component"),
    *("weights of another name", "shards beside one file"),
]
KINDS: dict[str, Any] = {
    "transformer": DiffusionTransformer,
    "vae": VideoAutoencoder,
    "vocoder": Vocoder,
    "text_encoder": T5EncoderModel,
}


def all_loaded(folder: Path) -> None:
    for part, kind in KINDS.items():
        saved_component(kind, folder / part)


@pytest.mark.parametrize("name", OF_A_COMPONENT)
def test_s2_s3_s4_what_a_pipeline_refuses_a_component_refuses(copy: Path, name: str) -> None:
    damage, message = BY_NAME[name]
    all_loaded(copy)
    before = {part: digests(copy / part) for part in KINDS}
    damage(copy)
    (part,) = (part for part in KINDS if digests(copy / part) != before[part])
    with pytest.raises(CheckpointError, match=message) as caught:
        saved_component(KINDS[part], copy / part)
    assert str(copy) in str(caught.value)
    if part == "transformer" and name != "no config":  # without one it is no folder of one
        with pytest.raises(CheckpointError, match=message):
            _ = Autoguidance(transformer=copy)._model


def digests(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["tokenizer cut", "remote code"])
def test_s4_what_is_wrong_with_a_tokenizer_is_refused_at_its_doors(copy: Path, name: str) -> None:
    damage, message = BY_NAME[name]
    damage(copy)
    for load in (
        lambda: saved_text_encoder(str(copy)),
        lambda: load_component("tokenizer", copy / "tokenizer"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load()


@pytest.mark.parametrize("name", ["cut in the data", "overlapping", "a name twice"])
def test_s2_malformed_files_are_refused(copy: Path, name: str) -> None:
    content, message = MALFORMED[name]
    for part in ("vae", "transformer"):
        (copy / part / f"{OURS}.safetensors").write_bytes(content)
    refused_at_once(lambda: saved_component(VideoAutoencoder, copy / "vae"), message)
    refused_at_once(lambda: Autoguidance(transformer=copy)._model, message)


def test_s2_a_million_tensors_are_refused(copy: Path) -> None:
    for part in ("vae", "transformer"):
        (copy / part / f"{OURS}.safetensors").write_bytes(a_million_tensors())
    refused_at_once(lambda: saved_component(VideoAutoencoder, copy / "vae"), "are read")
    refused_at_once(lambda: Autoguidance(transformer=copy)._model, "are read")


SIZES: list[tuple[str, dict[str, Any], str]] = [
    ("vae", {"encoder_blocks": 20_000}, "encoder_blocks is 20000; it must be"),
    ("vae", {"decoder_widths": []}, "describes no VideoAutoencoder|does not fit"),
    ("vae", {"latent_channels": -4}, "latent_channels is -4; it must be"),
    ("vae", {"latent_channels": -1}, "describes no VideoAutoencoder"),
    ("vae", {"latent_channels": 10**400}, "it must be a whole number"),
    ("transformer", {"num_layers": 30_000}, "num_layers is 30000; it must be"),
    ("transformer", {"num_attention_heads": 0}, "num_attention_heads is 0; it must be"),
    ("transformer", {"ffn_ratio": 1e300}, "describes no DiffusionTransformer"),
    ("vocoder", {"num_blocks": 10**6}, "num_blocks is 1000000; at most"),
]


@pytest.mark.parametrize(("part", "changes", "message"), SIZES, ids=lambda case: str(case)[:40])
def test_s3_sizes_are_bounded_before_anything_is_built(
    copy: Path, part: str, changes: dict[str, Any], message: str
) -> None:
    edit_json(f"{part}/config.json", **changes)(copy)
    refused_at_once(lambda: saved_component(KINDS[part], copy / part), message)


def test_s3_many_empty_weights_do_not_let_many_layers_be_built(copy: Path) -> None:
    """A header may name 20,000 weights that weigh nothing; each layer has dozens of them."""
    weights = copy / "transformer" / f"{OURS}.safetensors"
    weights.write_bytes(file_of({str(i): tensor(0, 0, shape=[0]) for i in range(500)}))
    edit_json("transformer/config.json", num_layers=500)(copy)
    refused_at_once(
        lambda: saved_component(DiffusionTransformer, copy / "transformer"),
        "describes a model of far more weights than the 500 tensors",
    )


def test_s3_a_config_that_is_no_object_says_so(copy: Path) -> None:
    for text, said in {"[]": "holds a list", "[" * 100_000: "nested too deeply"}.items():
        (copy / "vae" / "config.json").write_text(text)
        for load in (saved_video_autoencoder, saved_autoencoder):
            with pytest.raises(CheckpointError, match=said):
                load(str(copy / "vae"))


def test_a_released_text_encoder_is_taken(copy: Path) -> None:
    """As transformers 4 saved it: with the decoder, and with settings of generation."""
    edit_json("text_encoder/config.json", output_past=True, decoder_start_token_id=0)(copy)
    path = copy / "text_encoder" / f"{THEIRS}.safetensors"
    changed(path, lambda weights: weights.update({"decoder.block.0.weight": torch.ones(2)}))
    assert saved_component(T5EncoderModel, copy / "text_encoder") is not None
