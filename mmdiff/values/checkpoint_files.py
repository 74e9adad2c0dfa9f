"""The files of a checkpoint folder: readable, whole, finite, and nothing in them that could run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from mmdiff.values.safetensors_header import check_header

LARGEST_JSON = 2**26  # bytes; a tokenizer of a large vocabulary has half of it
UNSAFE_SUFFIXES = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".npy",
    ".npz",
    ".h5",
    ".msgpack",
    ".py",
)
CURE = "Download or export the checkpoint again."


class CheckpointError(ValueError):
    """A checkpoint that mmdiff refuses to load; it names the file, what is wrong and the cure."""


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; CheckpointError if it is missing, damaged or something else."""
    try:
        if (size := path.stat().st_size) > LARGEST_JSON:
            raise ValueError(f"{size} bytes; at most {LARGEST_JSON} are read")
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_constant)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing. {CURE}") from None
    except RecursionError:
        raise CheckpointError(f"{path} is not readable JSON (nested too deeply). {CURE}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not readable JSON ({error}). {CURE}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a JSON object. {CURE}")
    return content


def _constant(name: str) -> float:
    """Schedulers of diffusers save -Infinity, of a bound that is off; nobody saves NaN."""
    if name == "NaN":
        raise ValueError("it holds NaN")
    return float(name)


def refuse_unsafe_files(folder: Path) -> None:
    """CheckpointError if `folder` holds pickles or code, which loading must never touch."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in UNSAFE_SUFFIXES:
            raise CheckpointError(
                f"{path} is a {path.suffix} file, which can hold code; mmdiff loads weights from "
                ".safetensors and settings from .json only. Remove it, or convert the weights "
                "with save_pretrained."
            )


def refuse_adapter(folder: Path) -> None:
    """CheckpointError if `folder` holds an adapter of peft beside its weights: transformers would
    load it in silence, and with it whatever it names."""
    for path in sorted(folder.glob("adapter_*")):
        raise CheckpointError(
            f"{path} is part of an adapter, which is not loaded from within a component. Remove "
            "it, or merge it into the weights first."
        )


def weight_files(folder: Path, variant: str | None = None, *, name: str) -> list[Path]:
    """The safetensors files of one model: one, or the shards in `folder` that its index names.

    name  of the weights without suffix: diffusion_pytorch_model of diffusers, model of transformers

    Raises CheckpointError where there are none, or more than one set: which of them is loaded then
    depends on the library.
    """
    for path in sorted(folder.glob("*.safetensors*")):
        if not path.name.startswith((f"{name}.", f"{name}-")):
            raise CheckpointError(
                f"{path} is beside the weights, which are {name}.safetensors here, and belongs to "
                "nothing. Remove it."
            )
    for one in [variant, None] if variant else [None]:
        infix = f".{one}" if one else ""
        single = folder / f"{name}{infix}.safetensors"
        index = folder / f"{name}.safetensors.index{infix}.json"
        if index.is_file() and single.is_file():
            raise CheckpointError(
                f"{folder} holds its weights twice, in {single.name} and in shards ({index.name}). "
                "Remove one of them."
            )
        if index.is_file():
            return _shards(index)
        if single.is_file():
            return [single]
    raise CheckpointError(f"{folder} holds no .safetensors weights. {CURE}")


def _shards(index: Path) -> list[Path]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} names no shards. {CURE}")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise CheckpointError(
                f"{index} points to {name!r}, which is no .safetensors file beside it. {CURE}"
            )
        if not (index.parent / name).is_file():
            raise CheckpointError(
                f"{index.parent / name} is missing: a shard of {index.name}. {CURE}"
            )
    return [index.parent / name for name in names]


def finite_tensor_shapes(files: list[Path]) -> dict[str, tuple[int, ...]]:
    """Shape of every tensor in `files`.

    Raises CheckpointError where a file is damaged, or a value is NaN or infinite.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        for name, tensor in _tensors(path):
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
                raise CheckpointError(f"{path}: the weight {name} holds NaN or infinity. {CURE}")
            if name in shapes:
                raise CheckpointError(f"{path}: the weight {name} is in two files. {CURE}")
            shapes[name] = tuple(tensor.shape)
    return shapes


def _tensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    try:
        check_header(path)
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # a safe_open cannot be iterated over itself
            for name in names:
                yield name, file.get_tensor(name)
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{path} is damaged ({error}). {CURE}") from None
