"""Saving and loading: what fits comes back exactly, what does not is refused, with the cure."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from safetensors.torch import load_file, save_file

from mmdiff.loading.json_file import CheckpointError
from mmdiff.loading.pipeline import prepare_loading
from mmdiff.pipelines.pipeline import MMDiffPipeline
from tests.pipelines.tiny import tiny_components, tiny_pipeline

WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"
CONFIG = "transformer/config.json"
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved")
    tiny_pipeline(default_guidance_scale=2.5).save_pretrained(path)
    return path


def sampled(pipe: MMDiffPipeline) -> torch.Tensor:
    pipe.set_progress_bar_config(disable=True)
    return pipe("red", generator=torch.Generator().manual_seed(0), output_type="pt").frames


def test_round_trip_is_exact_settings_included(saved: Path) -> None:
    loaded = MMDiffPipeline.from_pretrained(saved)
    assert loaded.config.default_guidance_scale == 2.5 and loaded.config.default_num_frames == 9
    assert torch.equal(sampled(loaded), sampled(tiny_pipeline(default_guidance_scale=2.5)))


def test_an_assigned_audio_scheduler_is_saved_too(tmp_path: Path) -> None:
    pipe = tiny_pipeline()
    pipe.scheduler, pipe.audio_scheduler = (
        UniPCMultistepScheduler(),
        FlowMatchEulerDiscreteScheduler(shift=5.0),
    )
    pipe.save_pretrained(tmp_path)
    loaded = MMDiffPipeline.from_pretrained(tmp_path)
    assert (
        isinstance(loaded.scheduler, UniPCMultistepScheduler)
        and loaded.audio_scheduler.config.shift == 5.0
    )


@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_weights_are_fp32_unless_asked_otherwise(tmp_path: Path, name: str) -> None:
    tiny_pipeline().to(torch.bfloat16).save_pretrained(tmp_path)
    parts = ("transformer", "vae", "audio_vae", "vocoder", "text_encoder")
    loaded = MMDiffPipeline.from_pretrained(tmp_path)
    assert {getattr(loaded, part).dtype for part in parts} == {torch.float32}
    loaded = MMDiffPipeline.from_pretrained(tmp_path, **{name: torch.bfloat16})
    assert loaded.vae.dtype == loaded.text_encoder.dtype == torch.bfloat16


def test_bf16_weights_sample(saved: Path) -> None:
    loaded = MMDiffPipeline.from_pretrained(saved, dtype=torch.bfloat16)
    assert torch.isfinite(sampled(loaded)).all()


def test_shards_and_variants_load(tmp_path: Path) -> None:
    pipe = tiny_pipeline()
    pipe.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    assert len(list((tmp_path / "shards" / "transformer").glob("*-of-*.safetensors"))) > 1
    pipe.save_pretrained(tmp_path / "variant", variant="fp16")
    expected = sampled(pipe)
    assert torch.equal(sampled(MMDiffPipeline.from_pretrained(tmp_path / "shards")), expected)
    assert torch.equal(
        sampled(MMDiffPipeline.from_pretrained(tmp_path / "variant", variant="fp16")), expected
    )


def test_a_component_that_is_brought_along_is_not_read(copy: Path) -> None:
    (copy / WEIGHTS).write_bytes(b"broken")
    pipe = tiny_pipeline()
    loaded = MMDiffPipeline.from_pretrained(copy, transformer=pipe.transformer)
    assert loaded.transformer is pipe.transformer


def edit_json(name: str, **changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | changes))

    return damage


def edit_weights(change: Callable[[dict[str, torch.Tensor]], Any], name: str = WEIGHTS) -> Damage:
    def damage(folder: Path) -> None:
        weights = load_file(folder / name)
        change(weights)
        save_file(weights, folder / name)

    return damage


def poison(weights: dict[str, torch.Tensor]) -> None:
    weights["time_embed.shift"] = torch.zeros(1)


def with_nan(weights: dict[str, torch.Tensor]) -> None:
    next(value for value in weights.values() if value.ndim == 2)[0, 0] = torch.nan


def with_infinity(weights: dict[str, torch.Tensor]) -> None:
    next(value for value in weights.values() if value.ndim == 1)[-1] = -torch.inf


def other_names(weights: dict[str, torch.Tensor]) -> None:
    for name in list(weights):
        weights[f"model.{name}"] = weights.pop(name)


def other_shape(weights: dict[str, torch.Tensor]) -> None:
    weights["text_embed.0.weight"] = torch.zeros(3, 3)


def cut(share: float) -> Damage:
    def damage(folder: Path) -> None:
        content = (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(content[: int(len(content) * share)])

    return damage


def replaced(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content) and None


def only_bin(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "transformer" / "diffusion_pytorch_model.bin")


def header_of(content: bytes) -> Damage:
    return lambda folder: (folder / WEIGHTS).write_bytes(content) and None


DAMAGES: list[tuple[str, Damage, str]] = [
    (
        "missing key",
        edit_weights(lambda w: w.pop("text_embed.0.weight")),
        "weights missing: text_embed.0.weight",
    ),
    ("extra key", edit_weights(poison), "unexpected: time_embed.shift"),
    (
        "other shape",
        edit_weights(other_shape),
        r"of another shape: text_embed.0.weight \(3, 3\), not",
    ),
    ("nan", edit_weights(with_nan), "holds NaN or infinity"),
    (
        "nan in text",
        edit_weights(with_nan, "text_encoder/model.safetensors"),
        "text_encoder/model.safetensors: .* NaN",
    ),
    ("infinity", edit_weights(with_infinity), "holds NaN or infinity"),
    (
        "all keys by other names",
        edit_weights(other_names),
        r"weights missing: .* and \d+ more; unexpected: model\..* and \d+ more",
    ),
    (
        "negative width in a list",
        edit_json("vae/config.json", encoder_widths=[8, -8, 8]),
        "encoder_widths is .*; it must be whole numbers from 1",
    ),
    ("truncated", cut(0.5), "diffusion_pytorch_model.safetensors is damaged"),
    ("empty", cut(0.0), "diffusion_pytorch_model.safetensors is damaged"),
    ("huge header", header_of(b"\xff" * 7 + b"\x7f{}"), "is damaged"),
    ("no weights", lambda folder: (folder / WEIGHTS).unlink(), "holds no .safetensors weights"),
    ("no config", lambda folder: (folder / CONFIG).unlink(), "config.json is missing"),
    (
        "config cut",
        lambda folder: (folder / CONFIG).write_text('{"num_la') and None,
        "is not readable JSON",
    ),
    ("config a list", lambda folder: (folder / CONFIG).write_text("[]") and None, "holds a list"),
    (
        "unknown key",
        edit_json(CONFIG, num_layer=2),
        "unknown key 'num_layer'; did you mean num_layers",
    ),
    (
        "unknown key of text",
        edit_json("text_encoder/config.json", d_modell=2),
        "did you mean d_model",
    ),
    (
        "unknown setting",
        edit_json("model_index.json", noise_shedule="flow"),
        "did you mean noise_schedule",
    ),
    (
        "a million layers",
        edit_json(CONFIG, num_layers=10**6),
        "num_layers is 1000000; at most 65536",
    ),
    ("negative size", edit_json(CONFIG, patch_size=-7), "patch_size is -7"),
    (
        "huge size",
        edit_json(CONFIG, attention_head_dim=10**12),
        "attention_head_dim is 1000000000000",
    ),
    (
        "wrong type",
        edit_json(CONFIG, num_attention_heads="two"),
        "describes no DiffusionTransformer",
    ),
    (
        "other class",
        edit_json("model_index.json", _class_name="WanPipeline"),
        "is of a WanPipeline",
    ),
    (
        "os",
        edit_json("model_index.json", vae=["os", "PathLike"]),
        "os.PathLike, which a checkpoint may not name",
    ),
    (
        "antigravity",
        edit_json("model_index.json", vae=["antigravity", "X"]),
        "which a checkpoint may not name",
    ),
    (
        "no component",
        edit_json("model_index.json", vae=["mmdiff.autoencoders.mel", "LogMel"]),
        "no component",
    ),
    (
        "not installed",
        edit_json("model_index.json", vae=["mmdiff.autoencoders.x", "X"]),
        "not installed here",
    ),
    ("entry of one", edit_json("model_index.json", vae=["mmdiff"]), r"not \[library, class\]"),
    (
        "remote code",
        edit_json("tokenizer/tokenizer_config.json", auto_map={"AutoTokenizer": "x.Y"}),
        "auto_map",
    ),
    ("nan in a config", edit_json(CONFIG, ffn_ratio=float("nan")), "holds NaN"),
    ("infinite ratio", edit_json(CONFIG, ffn_ratio=float("inf")), "describes no"),
    ("nested json", replaced(CONFIG, b"[" * 100_000), "nested too deeply"),
    ("blocks", edit_json("vae/config.json", encoder_blocks=10**6), "at most 65536 can be built"),
    (
        "a long list",
        edit_json("vae/config.json", encoder_widths=[8] * 10**5),
        "too many values",
    ),
    ("bin only", only_bin, "can hold code"),
    (
        "target in a config",
        edit_json(CONFIG, _target_="os.system"),
        "unknown key '_target_'",
    ),
    (
        "kernels of the hub",
        edit_json("text_encoder/config.json", _attn_implementation="somebody/kernels"),
        "unknown key '_attn_implementation'",
    ),
    (
        "an adapter in a component",
        replaced("text_encoder/adapter_config.json", b'{"base_model_name_or_path": "/"}'),
        "part of an adapter",
    ),
    (
        "weights of another name",
        lambda f: shutil.copy(f / WEIGHTS, f / "text_encoder/diffusion_pytorch_model.safetensors"),
        "belongs to nothing",
    ),
    (
        "shards beside one file",
        replaced(f"{WEIGHTS}.index.json", b'{"weight_map": {"a": "b.safetensors"}}'),
        "holds its weights twice",
    ),
    (
        "a pipeline as scheduler",
        edit_json("model_index.json", scheduler=["diffusers", "DiffusionPipeline"]),
        "no component",
    ),
    (
        "module below a library",
        edit_json("model_index.json", vae=["diffusers.utils.hub_utils", "os"]),
        "which a checkpoint may not name",
    ),
    (
        "huge schedule",
        edit_json("scheduler/scheduler_config.json", num_train_timesteps=10**11),
        "num_train_timesteps is 100000000000; at most",
    ),
    (
        "schedule of text",
        edit_json("scheduler/scheduler_config.json", num_train_timesteps="many"),
        "scheduler_config.json describes no FlowMatch",
    ),
    ("a missing part", lambda folder: shutil.rmtree(folder / "vocoder"), "vocoder is missing"),
    (
        "tokenizer cut",
        lambda f: (f / "tokenizer/tokenizer.json").write_text("{") and None,
        "tokenizer.json is not",
    ),
]


BY_NAME = {name: (damage, message) for name, damage, message in DAMAGES}
OF_S2 = ["truncated", "empty", "huge header", "no weights"]
OF_S4 = [
    *("os", "antigravity", "no component", "not installed", "entry of one", "remote code"),
    *("target in a config", "kernels of the hub", "an adapter in a component", "other class"),
    *("a pipeline as scheduler", "module below a library"),
]
OF_S3 = [name for name in BY_NAME if name not in (*OF_S2, *OF_S4)]


def is_refused(copy: Path, name: str) -> None:
    damage, message = BY_NAME[name]
    damage(copy)
    with pytest.raises(CheckpointError, match=message) as caught:
        MMDiffPipeline.from_pretrained(copy)
    assert str(copy) in str(caught.value)


@pytest.mark.parametrize("name", OF_S2)
def test_s2_damaged_weights_are_refused_with_file_and_cure(copy: Path, name: str) -> None:
    is_refused(copy, name)


@pytest.mark.parametrize("name", OF_S3)
def test_s3_what_does_not_fit_is_refused_with_file_and_cure(copy: Path, name: str) -> None:
    is_refused(copy, name)


@pytest.mark.parametrize("name", OF_S4)
def test_s4_what_names_code_is_refused_with_file_and_cure(copy: Path, name: str) -> None:
    is_refused(copy, name)


def test_s3_pickles_are_not_read_without_the_checks_either(copy: Path) -> None:
    only_bin(copy)
    with pytest.raises(CheckpointError, match=r"diffusion_pytorch_model\.safetensors"):
        MMDiffPipeline.from_pretrained(copy, strict=False)


@pytest.mark.parametrize("name", ["x.py", "x.h5", "x.msgpack"])
@pytest.mark.parametrize("place", [".", "transformer"])
def test_s4_code_and_foreign_formats_are_refused(copy: Path, place: str, name: str) -> None:
    (copy / place / name).write_bytes(b"raise SystemExit")
    with pytest.raises(CheckpointError, match="can hold code"):
        MMDiffPipeline.from_pretrained(copy)


def test_s4_shards_outside_the_folder_are_refused(copy: Path) -> None:
    index = copy / "transformer" / "diffusion_pytorch_model.safetensors.index.json"
    (copy / WEIGHTS).unlink()
    index.write_text(
        json.dumps({"weight_map": {"a": "../vae/diffusion_pytorch_model.safetensors"}})
    )
    with pytest.raises(CheckpointError, match=r"no \.safetensors file beside it"):
        MMDiffPipeline.from_pretrained(copy)
    index.write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(CheckpointError, match=r"gone.safetensors is missing: a shard"):
        MMDiffPipeline.from_pretrained(copy)


def test_pickles_cannot_be_asked_for(saved: Path) -> None:
    with pytest.raises(ValueError, match="use_safetensors is False"):
        MMDiffPipeline.from_pretrained(saved, use_safetensors=False)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    (tmp_path / "model_index.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("keywords", "dtype"),
    [
        ({}, torch.float32),
        ({"dtype": torch.float16}, torch.float16),
        ({"torch_dtype": torch.bfloat16}, torch.bfloat16),
    ],
)
def test_keywords_are_settled_before_diffusers_loads(
    bare: Path, keywords: dict[str, object], dtype: torch.dtype
) -> None:
    asked = {"strict": False, "local_files_only": True, "variant": "ema"} | keywords
    before = dict(asked)
    found, handed_on = prepare_loading(MMDiffPipeline, bare, keywords=asked)
    assert found == bare and asked == before
    assert handed_on == {"variant": "ema", "dtype": dtype, "use_safetensors": True}


def test_anything_but_safetensors_is_refused(bare: Path) -> None:
    with pytest.raises(ValueError, match="use_safetensors is False"):
        prepare_loading(MMDiffPipeline, bare, keywords={"use_safetensors": False})


def test_diffusers_finds_the_base_class_of_each_component() -> None:
    components = tiny_components()
    for name in ("transformer", "vae", "audio_vae", "vocoder"):
        assert hasattr(sys.modules[type(components[name]).__module__], "ModelMixin")
