"""Weights in safetensors: which files they are, what their headers say, and their values.

The library behind `safe_open` refuses overlapping, short and overflowing tensors. It takes a name
that is there twice, and needs a minute for a header of a million names; both are refused here.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mmdiff.loading.json_file import HINT, CheckpointError, check_file, parse_json, read_json

LARGEST_HEADER = 8 * 2**20  # bytes; the largest models that are released need less than one MiB
MOST_TENSORS = 20_000
LONGEST_NAME = 512
FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
_LENGTH_BYTES = 8


@dataclass(frozen=True)
class StoredTensor:
    """What a header says of a tensor; dtype by its name there, such as BF16."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def num_elements(self) -> int:
        return math.prod(self.shape)


def weight_files(folder: Path, variant: str | None, *, name: str, root: Path) -> list[Path]:
    """The safetensors files of one model: one, or the shards in `folder` that its index names.

    name  of the weights without suffix: diffusion_pytorch_model of diffusers, model of transformers
    root  the folder that links may not lead out of

    Raises CheckpointError where there are none, or more than one set: which of them is loaded then
    depends on the library.
    """
    for path in sorted(folder.glob("*.safetensors*")):
        check_file(path, root)
        if not path.name.startswith((f"{name}.", f"{name}-")):
            raise CheckpointError(
                f"{path} is beside the weights, which are {name}.safetensors here, and belongs to "
                "nothing. Remove it."
            )
    for infix in (f".{variant}", "") if variant else ("",):
        single = folder / f"{name}{infix}.safetensors"
        index = folder / f"{name}.safetensors.index{infix}.json"
        if index.is_file() and single.is_file():
            raise CheckpointError(
                f"{folder} holds its weights twice, in {single.name} and in shards ({index.name}). "
                "Remove one of them."
            )
        if index.is_file():
            return _shards(index, root)
        if single.is_file():
            return [single]
    raise CheckpointError(f"{folder} holds no .safetensors weights. {HINT}")


def _shards(index: Path, root: Path) -> list[Path]:
    weight_map = read_json(index, root=root).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} names no shards. {HINT}")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise CheckpointError(
                f"{index} points to {name!r}, which is no .safetensors file beside it. {HINT}"
            )
        if not (index.parent / name).is_file():
            raise CheckpointError(
                f"{index.parent / name} is missing: a shard of {index.name}. {HINT}"
            )
    return [index.parent / name for name in names]


def stored_tensors(files: list[Path]) -> dict[str, StoredTensor]:
    """What the headers of `files` say, by the names of the tensors; no value is read.

    Raises CheckpointError for a file that is damaged, and for a name that is in two files.
    """
    found: dict[str, StoredTensor] = {}
    for path in files:
        try:
            header = _header(path)
            with safe_open(path, framework="pt"):
                pass  # opening it checks every entry: offsets, sizes, types
        except (SafetensorError, OSError, ValueError, OverflowError) as error:
            raise CheckpointError(f"{path} is damaged ({error}). {HINT}") from None
        if twice := sorted(found.keys() & header.keys()):
            raise CheckpointError(f"{path}: the weight {twice[0]} is in two files. {HINT}")
        for name, entry in header.items():
            found[name] = StoredTensor(tuple(entry["shape"]), entry["dtype"])
    return found


def check_values(
    files: list[Path], *, bounds: Mapping[str, tuple[float, float]] | None = None
) -> None:
    """CheckpointError where a weight in `files`, held in fp32, is NaN or infinite, or out of the
    `bounds` that its name has. It costs reading each of them once."""
    for path in files:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # a safe_open cannot be iterated over itself
            for name in names:
                tensor = file.get_tensor(name)
                if not tensor.is_floating_point() or not tensor.numel():
                    continue
                # both are NaN where any value is
                lowest, highest = (float(one) for one in tensor.float().aminmax())
                if not (math.isfinite(lowest) and math.isfinite(highest)):
                    raise CheckpointError(
                        f"{path}: the weight {name} holds NaN or infinity. {HINT}"
                    )
                least, most = (bounds or {}).get(name, (-math.inf, math.inf))
                if not least <= lowest <= highest <= most:
                    raise CheckpointError(
                        f"{path}: the weight {name} runs from {lowest:g} to {highest:g}; it must "
                        f"lie from {least:g} to {most:g}. {HINT}"
                    )


def _header(path: Path) -> dict[str, Any]:
    """The entry of each tensor; ValueError, which says what is wrong, unless the header is of sane
    size and readable JSON, and names each tensor once, in printable letters."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_LENGTH_BYTES)
        length = int.from_bytes(start, "little")
        if len(start) < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
            raise ValueError(
                f"it has {size} bytes, fewer than its header claims: it is cut off, or no "
                "safetensors file"
            )
        if length > LARGEST_HEADER:
            raise ValueError(f"its header has {length} bytes; at most {LARGEST_HEADER} are read")
        header = parse_json(file.read(length), most_objects=4 * MOST_TENSORS)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    if len(header) > MOST_TENSORS:
        raise ValueError(f"it holds {len(header)} tensors; at most {MOST_TENSORS} are read")
    for name in header:
        if not name.isprintable() or len(name) > LONGEST_NAME:
            raise ValueError(f"it names a tensor {name[:LONGEST_NAME]!r}, which no model does")
    return header
