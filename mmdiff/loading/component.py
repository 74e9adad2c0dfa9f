"""One component in its folder, checked against its config.json before anything is built from it.

diffusers and transformers take pickles, draw missing weights anew, leave out unexpected ones and
unknown keys of a configuration, and build whatever sizes it asks for: all of it in silence. Here
the model is built without memory (on the meta device, buffers too), and compared with what the
headers of its weights say.
"""

import difflib
import inspect
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin
from torch import nn
from torch.nn.modules import module as torch_module

from mmdiff.loading.json_file import HINT, CheckpointError, check_file, read_json
from mmdiff.loading.module_memory import align_weights
from mmdiff.loading.safetensors_file import (
    StoredTensor,
    check_values,
    stored_tensors,
    weight_files,
)

BOOKKEEPING = ("_class_name", "_diffusers_version", "_name_or_path", "_commit_hash")
OF_TRANSFORMERS = (
    *("architectures", "model_type", "transformers_version", "dtype", "torch_dtype"),
    # of text that is generated; released text encoders carry these, and no encoder reads them
    *("decoder_start_token_id", "n_positions", "output_past", "task_specific_params"),
)
UNSAFE_SUFFIXES = (
    *(".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".h5", ".msgpack"),
    ".py",
)
LARGEST_SIZE = 2**20
FAULTS_OF_A_CONFIG = (
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError),
    AssertionError,
)


class _TooManyPartsError(ValueError):
    """A model under construction has far more parts than there are weights in its files."""


def saved_component(kind: Any, folder: str | PathLike[str]) -> Any:
    """The component in `folder`.

    kind: a model class of diffusers or transformers.

    Raises CheckpointError, before anything is built, for what `check_component` refuses.
    """
    check_component(Path(folder), kind)
    component = kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
    align_weights(component)
    return component


def check_component(
    folder: Path,
    kind: Any,
    *,
    variant: str | None = None,
    is_part: bool = False,
    root: Path | None = None,
) -> None:
    """Refuse the folder of a model whose files are damaged, unsafe, or do not fit together.

    Refused are: what `check_settings` refuses, adapters, unknown config keys, sizes out of bounds,
    missing, unexpected or wrongly shaped weights, NaN and infinity. It costs reading the weights
    once; nothing of the model is held in memory.

    kind     the model class of diffusers or transformers that is to be loaded
    is_part  of a larger model that others saved: further weights, other names of weights and
             further keys are left to the library, which has to be asked what it found
    root     the folder that links may not lead out of; None: `folder`

    Raises CheckpointError, which names the file, what is wrong and a hint.
    """
    root = root or folder
    check_settings(folder, root=root)
    for path in sorted(folder.glob("adapter_*")):  # transformers would load it in silence
        raise CheckpointError(
            f"{path} is part of an adapter, which is not loaded from within a component. Remove "
            "it, or merge it into the weights first."
        )
    path = folder / "config.json"
    config = read_json(path, root=root)
    name = "diffusion_pytorch_model" if issubclass(kind, ConfigMixin) else "model"
    files = weight_files(folder, variant, name=name, root=root)
    stored = stored_tensors(files)
    if not is_part:
        check_bounds(path, config)
        _check_counts(path, config, num_tensors=len(stored))
        _check_weights(files[0], stored, _empty_model(kind, path, config, len(stored)))
    check_values(files)


def check_settings(folder: Path, *, root: Path | None = None) -> None:
    """Refuse a folder that is missing, holds pickles or code, links out of `root`, damaged JSON, or
    a configuration that asks for code of its own; enough for a tokenizer. Raises CheckpointError.
    """
    root = root or folder
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is missing. {HINT}")
    refuse_unsafe_files(folder)
    for path in sorted(folder.iterdir()):
        if not path.is_dir():
            check_file(path, root)
        if path.suffix == ".json" and "auto_map" in read_json(path, root=root):
            raise CheckpointError(
                f"{path} asks for code of its own (auto_map), which mmdiff never runs. {HINT}"
            )


def refuse_unsafe_files(folder: Path) -> None:
    """CheckpointError if `folder` holds pickles or code, which loading must never touch."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in UNSAFE_SUFFIXES:
            raise CheckpointError(
                f"{path} is a {path.suffix} file, which can hold code; mmdiff loads weights from "
                ".safetensors and settings from .json only. Remove it, or convert the weights "
                "with save_pretrained."
            )


def check_bounds(path: Path, config: Mapping[str, Any]) -> None:
    """CheckpointError where a whole number of a configuration is no size."""
    for key, value in _integers(config):
        if not -1 <= value <= LARGEST_SIZE:
            raise CheckpointError(
                f"{path}: {key} is {value}; it must be from 0 to {LARGEST_SIZE}. {HINT}"
            )


def check_config_keys(path: Path, config: Mapping[str, Any], known: set[str]) -> None:
    """CheckpointError where a configuration has a key that is not one of `known`."""
    for key in config:
        if key in BOOKKEEPING or key in known:
            continue
        nearest = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else "."
        raise CheckpointError(
            f"{path}: unknown key {key!r}{hint} Remove it, or install the mmdiff that wrote it."
        )


def _check_counts(path: Path, config: Mapping[str, Any], *, num_tensors: int) -> None:
    """Refuse more layers, or stages of blocks, than the weights can fill."""
    longest = max([1, *(len(value) for value in config.values() if isinstance(value, list))])
    if longest > max(num_tensors, 1):
        raise CheckpointError(
            f"{path}: a list has {longest} entries, but the weights hold only {num_tensors} "
            f"tensors. {HINT}"
        )
    for key, value in _integers(config):
        is_count = ("layers" in key or "blocks" in key) and not key.startswith("max_")
        if is_count and value * longest > num_tensors:
            raise CheckpointError(
                f"{path}: {key} is {value}, but the weights hold only {num_tensors} tensors. {HINT}"
            )


def _integers(config: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    for key, value in config.items():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, int) and not isinstance(item, bool):
                yield key, item


def _empty_model(kind: Any, path: Path, config: dict[str, Any], num_tensors: int) -> nn.Module:
    """The model that `config` describes, without memory for its weights."""
    try:
        if issubclass(kind, ConfigMixin):
            check_config_keys(path, config, set(inspect.signature(kind.__init__).parameters))
            build = kind.from_config
        else:
            check_config_keys(path, config, {*kind.config_class().to_dict(), *OF_TRANSFORMERS})
            config, build = kind.config_class.from_dict(config), kind
        with torch.device("meta"), _stopped_after(2 * num_tensors + 100):
            model: nn.Module = build(config)
            return model
    except CheckpointError:
        raise
    except _TooManyPartsError as error:
        raise CheckpointError(
            f"{path} describes a model of far more weights than the {num_tensors} tensors "
            f"beside it. {HINT}"
        ) from error
    except FAULTS_OF_A_CONFIG as error:
        raise CheckpointError(f"{path} describes no {kind.__name__} ({error}). {HINT}") from error


@contextmanager
def _stopped_after(count: int) -> Iterator[None]:
    """Stops building after `count` weights (some are registered twice): modules cost memory and
    hours too, also without their weights."""
    thread, num_registered = threading.get_ident(), 0

    def counted(module: nn.Module, name: str, weight: nn.Parameter) -> None:
        nonlocal num_registered
        num_registered += threading.get_ident() == thread
        if num_registered > count:
            raise _TooManyPartsError

    handle = torch_module.register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()


def _check_weights(path: Path, stored: Mapping[str, StoredTensor], expected: nn.Module) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.state_dict().items()}
    tied = getattr(expected, "_tied_weights_keys", None) or {}
    left_out = getattr(expected, "_keys_to_ignore_on_load_unexpected", None) or ()
    missing = sorted(set(shapes) - set(stored) - set(tied))
    unexpected = sorted(
        name
        for name in set(stored) - set(shapes)
        if not any(re.search(pattern, name) for pattern in left_out)
    )
    wrong = sorted(
        f"{name} {stored[name].shape}, not {shape}"
        for name, shape in shapes.items()
        if name in stored and stored[name].shape != shape
    )
    titles = {"missing": missing, "unexpected": unexpected, "of another shape": wrong}
    faults = [f"{title}: {_listed(names)}" for title, names in titles.items() if names]
    if faults:
        raise CheckpointError(
            f"{path} does not fit its config.json; weights {'; '.join(faults)}. {HINT}"
        )


def _listed(names: list[str], limit: int = 8) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
