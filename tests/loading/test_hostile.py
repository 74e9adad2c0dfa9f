"""A pipeline folder as an attacker would write it: refused on one screen, in 2 s and 300 MB."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, T5EncoderModel

from mmdiff.loading.component import check_component
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.text.encoder import encode_prompts
from mmdiff.text.pretrained import pretrained_text_encoder
from tests.loading.refused import refused_at_once
from tests.text.families import save_family

Damage = Callable[[Path], object]
TOKENIZER, SETTINGS = "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"
TEXT, SCHEDULER = "text_encoder/config.json", "scheduler/scheduler_config.json"
WEIGHTS = "vae/diffusion_pytorch_model.safetensors"


def edited(name: str, **changes: Any) -> Damage:
    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | changes))

    return damage


def written(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def linked(name: str, target: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return damage


def fifo(name: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return damage


def stored_as(dtype: torch.dtype) -> Damage:
    return weights(lambda w: w.update({"decoder.head.bias": w["decoder.head.bias"].to(dtype)}))


def latent_std(value: float) -> Damage:
    return weights(lambda w: w["latent_std"].fill_(value))


def replacement(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(steps)}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": False}


def template(count: int) -> dict[str, Any]:
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    ids = {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}
    return {
        "type": "TemplateProcessing",
        "single": [text] + [end] * count,
        "pair": [text, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": ids,
    }


def added(count: int) -> list[dict[str, Any]]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return [{"id": i, "content": f"<{i}>", "special": True, **flags} for i in range(count)]


def bert(**changes: Any) -> Damage:
    """The text encoder becomes a BERT, whose constructor fills buffers by its configuration."""

    def damage(folder: Path) -> None:
        config = BertConfig(vocab_size=270, hidden_size=16, num_hidden_layers=1)
        config.num_attention_heads, config.intermediate_size = 2, 16
        BertModel(config).save_pretrained(folder / "text_encoder")
        edited("model_index.json", text_encoder=["transformers", "BertModel"])(folder)
        edited(TEXT, **changes)(folder)

    return damage


def newline_in_a_name(folder: Path) -> None:
    weights(lambda w: w.update({"a\nb\x1b[31m": torch.ones(1)}))(folder)


CHARSMAP = base64.b64encode((4).to_bytes(4, "little") + bytes(4) + b"x" * 5000 + b"\0").decode()
DOUBLED = [replacement({"String": "a" * 2**i}, "a" * 2 ** (i + 1)) for i in range(12)]
CASES: dict[str, tuple[Damage, str]] = {
    "12 nested replacements": (
        edited(TOKENIZER, normalizer=sequence(*DOUBLED)),
        r"its normalizer may make a text 4.1e\+03 times longer",
    ),
    "replacements in replacements": (
        edited(TOKENIZER, normalizer=sequence(sequence(*DOUBLED[:6]), sequence(*DOUBLED[6:]))),
        "times longer",
    ),
    "nothing becomes much": (
        edited(TOKENIZER, normalizer=replacement({"String": ""}, "x" * 100)),
        "101 times longer",
    ),
    "a table of long texts": (
        edited(TOKENIZER, normalizer={"type": "Precompiled", "precompiled_charsmap": CHARSMAP}),
        r"5e\+03 times longer",
    ),
    "nested bytes": (
        edited(
            TOKENIZER,
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": False}] * 12,
            },
        ),
        "its pre_tokenizer may make",
    ),
    "500,000 tokens in a template": (
        edited(TOKENIZER, post_processor=template(500_000)),
        "tokenizer.json is not readable JSON .it holds",
    ),
    "1,000 tokens in a template": (
        edited(TOKENIZER, post_processor=template(1000)),
        "its post_processor may make a text 1e\\+03 times longer",
    ),
    "a token of a template is not explained": (
        edited(TOKENIZER, post_processor=template(1) | {"special_tokens": {}}),
        "describes no tokenizer",
    ),
    "100,000 tokens are added": (edited(TOKENIZER, added_tokens=added(100_000)), "adds over 16384"),
    "a pattern without end": (
        edited(TOKENIZER, pre_tokenizer=split("(a+)+$")),
        "repeats a group",
    ),
    "alternatives without end": (
        edited(TOKENIZER, normalizer=replacement({"Regex": "(a|a)*b"}, "")),
        "repeats a group",
    ),
    "repetitions that follow each other": (
        edited(TOKENIZER, pre_tokenizer=split(r"\s*\s*\s*\s*\s*x")),
        "three repetitions",
    ),
    "a pattern that refers back": (
        edited(TOKENIZER, decoder=replacement({"Regex": r"(a*)\1"}, "")),
        "refers back",
    ),
    "a step that nobody knows": (
        edited(TOKENIZER, normalizer={"type": "Python", "code": "x"}),
        "'Python' is no step that mmdiff knows",
    ),
    "a long token": (
        edited(TOKENIZER, model={"type": "BPE", "vocab": {"x" * 10**6: 0}, "merges": []}),
        "an entry has 1000000 characters",
    ),
    "no vocabulary": (lambda f: (f / TOKENIZER).unlink(), "holds no tokenizer.json"),
    "a tokenizer of 10**8 extra tokens": (edited(SETTINGS, extra_ids=10**8), "extra_ids is"),
    "a tokenizer that reads other files": (
        edited(SETTINGS, vocab_file="/etc/passwd"),
        "vocab_file names a file",
    ),
    "a tokenizer in Python": (
        edited(SETTINGS, tokenizer_class="BertJapaneseTokenizer"),
        "'BertJapaneseTokenizer', which mmdiff does not know",
    ),
    "64 MB of empty lists": (
        written(TOKENIZER, b'{"a": [' + b"[]," * 2**24 + b"[]]}"),
        "it holds 16777219 lists",
    ),
    "a long configuration": (written(TEXT, b" " * 2**23), "over 4194304 bytes"),
    "an index without end": (linked("model_index.json", "/dev/zero"), "holds no model_index"),
    "a configuration without end": (linked("vae/config.json", "/dev/zero"), "link out of"),
    "a link out of the folder": (linked(SCHEDULER, "/etc/passwd"), "link out of"),
    "a link to nothing": (linked(SETTINGS, "../../gone.json"), "link out of"),
    "weights that are a link out": (linked(WEIGHTS, "/dev/zero"), "link out of"),
    "an index that nobody writes": (fifo("model_index.json"), "holds no model_index.json"),
    "an index that is a link out": (linked("model_index.json", "/etc/passwd"), "link out of"),
    "a configuration that nobody writes": (fifo(TEXT), "no regular file"),
    "a tokenizer that nobody writes": (fifo(TOKENIZER), "no regular file"),
    "terabytes of buffers": (bert(max_position_embeddings=10**12), "a model of 18,000,000,"),
    "buffers of no weight": (
        edited("vae/config.json", encoder_widths=[8, 8, 2**20]),
        "describes a model of|of another shape",
    ),
    "10**9 labels": (edited(TEXT, num_labels=10**9), "num_labels is 1000000000; at most 65536"),
    "10**9 layers deep inside": (
        edited(TEXT, text_config={"num_hidden_layers": 10**9}),
        "num_hidden_layers is 1000000000",
    ),
    "an encoder of no known family": (
        edited("model_index.json", text_encoder=["transformers", "ReformerModel"]),
        "may not name",
    ),
    "a scheduler of no known family": (
        edited("model_index.json", scheduler=["diffusers", "ScoreSdeVeScheduler"]),
        "no component",
    ),
    "10**9 steps remembered": (edited(SCHEDULER, solver_order=10**9), "solver_order is"),
    "no shift": (edited(SCHEDULER, shift=None), "describes no FlowMatchEulerDiscreteScheduler"),
    "steps that end nowhere": (edited(SCHEDULER, shift=1e300), "its steps end nowhere"),
    "10**6 mel bins": (edited("vocoder/config.json", mel_bins=10**6), "a model of 313,005,155"),
    "a spectrum of 2**16": (
        edited("vocoder/config.json", n_fft=2**16),
        "of another shape|a model of",
    ),
    "weights of bool": (stored_as(torch.bool), "is stored as BOOL"),
    "weights of int8": (stored_as(torch.int8), "is stored as I8"),
    "complex weights": (stored_as(torch.complex64), "is stored as C64|C64"),
    "deviation 0": (latent_std(0.0), "latent_std runs from 0 to 0; it must lie from 1e-07"),
    "deviation below 0": (latent_std(-1.0), "latent_std runs from -1 to -1"),
    "deviation 1e30": (latent_std(1e30), r"latent_std runs from 1e\+30"),
    "deviation NaN": (latent_std(float("nan")), "latent_std holds NaN"),
    "a name on two lines": (newline_in_a_name, r"names a tensor 'a\\n"),
    "no frame rate": (edited("model_index.json", frame_rate=None), "frame_rate is None"),
    "frame rate 0": (edited("model_index.json", frame_rate=0), "frame_rate is 0; it must be from"),
    "frame rate in words": (edited("model_index.json", frame_rate="x"), "it must be a number"),
    "a schedule of numbers": (edited("model_index.json", noise_schedule=3), "must be a text"),
    "half a letter": (
        written("model_index.json", b'{"_class_name": "\\ud800\\n\\u001b[31m"}'),
        r"is of a \\ud800\\n\\x1b",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_s14_a_hostile_folder_is_refused_at_once(copy: Path, name: str) -> None:
    damage, message = CASES[name]
    damage(copy)
    refused_at_once(lambda: MMDiffPipeline.from_pretrained(copy), message)


VALUES = {
    "d_model": (None, -1, "x", 2**40),
    "d_kv": (0, 1.5),
    "num_layers": (None, -3, [], 10**400),
    "num_heads": (0, True),
    "feed_forward_proj": (None, 7, "gated", "x-y"),
    "dropout_rate": ("x", 5.0, None),
    "layer_norm_epsilon": (None, "x"),
    "relative_attention_num_buckets": (0, {}),
    "relative_attention_max_distance": (0, None),
    "vocab_size": (0, "x", -5),
    "pad_token_id": ("x", 10**6),
    "dtype": ("float7", 3, []),
    "is_decoder": (True,),
    "id2label": (5, []),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in VALUES.items() for value in values]
)
def test_s14_no_value_of_a_text_encoder_ends_in_a_traceback(
    copy: Path, key: str, value: Any
) -> None:
    """It is refused, or reads a prompt."""
    edited(TEXT, **{key: value})(copy)
    pipe, refusal = loaded(copy)
    if pipe is None:
        assert str(copy / "text_encoder") in refusal or key in refusal
    else:
        tokens = encode_prompts(pipe.tokenizer, pipe.text_encoder, ["red"]).tokens
        assert bool(tokens.isfinite().all())


def loaded(folder: Path) -> tuple[MMDiffPipeline | None, str]:
    try:
        return MMDiffPipeline.from_pretrained(folder), ""
    except ValueError as error:
        return None, str(error)


COMMAND = """
import resource, sys, time
import mmdiff.apps.generate, mmdiff.pipelines.pipeline
from mmdiff.__main__ import main
memory, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
code = main(sys.argv[1:])
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
sys.stdout.write(f"{code} {memory} {time.process_time() - began}")
"""


def test_s14_a_hostile_folder_costs_the_command_line_little(copy: Path) -> None:
    """In a process of its own, whose memory nothing else has swollen: one screen, exit code 2."""
    CASES["64 MB of empty lists"][0](copy)
    words = ["generate", f"checkpoint={copy}", "prompt=red", f"output={copy}/clip.mp4"]
    run = subprocess.run(
        [sys.executable, "-c", COMMAND, *words], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0 and "Traceback" not in run.stderr, run.stderr
    assert "lists and objects" in run.stderr and len(run.stderr.splitlines()) <= 4, run.stderr
    code, kibibytes, seconds = map(float, run.stdout.split())
    assert code == 2 and kibibytes <= 300_000 and seconds <= 4  # with composing the configuration


def test_s14_integers_are_weights_where_a_quantization_is_declared(copy: Path) -> None:
    path = copy / "text_encoder" / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("wo.weight"))
    save_file({**tensors, name: tensors[name].to(torch.int8)}, path)
    refused_at_once(lambda: MMDiffPipeline.from_pretrained(copy), "is stored as I8")
    edited(TEXT, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})(copy)
    assert check_component(copy / "text_encoder", T5EncoderModel) is not None


def test_a_link_inside_the_folder_and_into_the_blobs_of_the_hub_is_read(saved: Path) -> None:
    """As huggingface_hub leaves a snapshot: links to the blobs of its repository."""
    cache = saved.parent / "models--somebody--clips"
    snapshot, blobs = cache / "snapshots" / "0123", cache / "blobs"
    shutil.copytree(saved, snapshot)
    blobs.mkdir()
    for number, path in enumerate(sorted(snapshot.rglob("*.*"))):
        blob = path.replace(blobs / str(number))
        path.symlink_to(os.path.relpath(blob, path.parent))
    assert MMDiffPipeline.from_pretrained(snapshot) is not None
    assert pretrained_text_encoder(str(snapshot)) is not None


def test_s14_folders_within_a_component_are_left_alone(copy: Path) -> None:
    (copy / "text_encoder" / "onnx").mkdir()
    (copy / "text_encoder" / "onnx" / "model.onnx").write_bytes(b"of others")
    assert MMDiffPipeline.from_pretrained(copy) is not None
    os.mkfifo(copy / "text_encoder" / "onnx" / "pipe")
    refused_at_once(lambda: MMDiffPipeline.from_pretrained(copy), "no regular file")


@pytest.mark.parametrize("family", ["t5", "bert"])
def test_s14_a_released_encoder_has_the_sizes_of_its_weights(tmp_path: Path, family: str) -> None:
    folder = save_family(family, tmp_path / family)
    name = "vocab_size"
    edited("config.json", **{name: 10**9})(folder)
    refused_at_once(lambda: pretrained_text_encoder(str(folder)), "describes a model of 24,")
