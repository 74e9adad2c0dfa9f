"""One component in its folder, checked against its config.json before anything is built from it.

diffusers and transformers take pickles, draw missing weights anew, leave out unexpected ones and
unknown keys of a configuration, and build whatever sizes it asks for: all of it in silence.
"""

import difflib
import inspect
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from diffusers.configuration_utils import ConfigMixin
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from mmdiff.values.checkpoint_files import (
    CURE,
    CheckpointError,
    finite_tensor_shapes,
    read_json,
    refuse_adapter,
    refuse_unsafe_files,
    weight_files,
)

BOOKKEEPING = ("_class_name", "_diffusers_version", "_name_or_path", "_commit_hash")
OF_TRANSFORMERS = (
    *("architectures", "model_type", "transformers_version", "dtype", "torch_dtype"),
    # of text that is generated; released text encoders carry these, and no encoder reads them
    *("decoder_start_token_id", "n_positions", "output_past", "task_specific_params"),
)
LARGEST_SIZE = 2**20
FAULTS_OF_A_CONFIG = (
    *(TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError),
    AssertionError,
)


class _TooManyWeightsError(ValueError):
    """A model under construction has far more weights than there are in its files."""


def check_component(
    folder: Path, kind: Any, *, variant: str | None = None, is_part: bool = False
) -> None:
    """Refuse the folder of a model whose files are damaged, unsafe, or do not fit together.

    Refused are: what `check_settings` refuses, adapters, unknown config keys, sizes out of bounds,
    missing, unexpected or wrongly shaped weights, NaN and infinity. It costs reading the weights
    once; nothing of the model is held in memory.

    kind     the model class of diffusers or transformers that is to be loaded
    is_part  of a larger model that others saved: further weights, other names of weights and
             further keys are left to the library, which has to be asked what it found

    Raises CheckpointError, which names the file, what is wrong and the cure.
    """
    check_settings(folder)
    refuse_adapter(folder)
    path = folder / "config.json"
    config = read_json(path)
    is_of_diffusers = issubclass(kind, ConfigMixin)
    files = weight_files(
        folder, variant, name="diffusion_pytorch_model" if is_of_diffusers else "model"
    )
    found = finite_tensor_shapes(files)
    if is_part:
        return
    check_bounds(path, config)
    _check_counts(path, config, num_tensors=len(found))
    _check_weights(files[0], found, expected=_empty_model(kind, path, config, len(found)))


def check_settings(folder: Path) -> None:
    """Refuse a folder that is missing, holds pickles or code, damaged JSON, or a configuration that
    asks for code of its own; enough for a tokenizer. Raises CheckpointError."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is missing. {CURE}")
    refuse_unsafe_files(folder)
    for path in sorted(folder.glob("*.json")):
        if "auto_map" in read_json(path):
            raise CheckpointError(
                f"{path} asks for code of its own (auto_map), which mmdiff never runs. {CURE}"
            )


def check_bounds(path: Path, config: Mapping[str, Any]) -> None:
    """CheckpointError where a whole number of a configuration is no size."""
    for key, value in _integers(config):
        if not -1 <= value <= LARGEST_SIZE:
            raise CheckpointError(
                f"{path}: {key} is {value}; it must be from 0 to {LARGEST_SIZE}. {CURE}"
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
    counts = {
        key: value
        for key, value in _integers(config)
        if ("layers" in key or "blocks" in key) and not key.startswith("max_")
    }
    if longest > max(num_tensors, 1):
        raise CheckpointError(
            f"{path}: a list has {longest} entries, but the weights hold only {num_tensors} "
            f"tensors. {CURE}"
        )
    for key, value in counts.items():
        if value * longest > num_tensors:
            raise CheckpointError(
                f"{path}: {key} is {value}, but the weights hold only {num_tensors} tensors. {CURE}"
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
            known = set(inspect.signature(kind.__init__).parameters)
            build = kind.from_config
        else:
            known = {*kind.config_class().to_dict(), *OF_TRANSFORMERS}
            build = _of_transformers(kind)
        check_config_keys(path, config, known)
        with init_empty_weights(), _stopped_after(2 * num_tensors + 100):
            model: nn.Module = build(config)
            return model
    except (CheckpointError, *FAULTS_OF_A_CONFIG) as error:
        if isinstance(error, CheckpointError):
            raise
        if isinstance(error, _TooManyWeightsError):
            raise CheckpointError(
                f"{path} describes a model of far more weights than the {num_tensors} tensors "
                f"beside it. {CURE}"
            ) from error
        raise CheckpointError(f"{path} describes no {kind.__name__} ({error}). {CURE}") from error


def _of_transformers(kind: Any) -> Callable[[dict[str, Any]], nn.Module]:
    return lambda config: kind(kind.config_class.from_dict(config))


@contextmanager
def _stopped_after(count: int) -> Iterator[None]:
    """Stops building after `count` weights (some are registered twice): modules cost memory and
    hours too, also without their weights."""
    thread, num_registered = threading.get_ident(), 0

    def counted(module: nn.Module, name: str, weight: nn.Parameter) -> None:
        nonlocal num_registered
        num_registered += threading.get_ident() == thread
        if num_registered > count:
            raise _TooManyWeightsError

    handle = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()


def _check_weights(
    path: Path, found: Mapping[str, tuple[int, ...]], *, expected: nn.Module
) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.state_dict().items()}
    tied = getattr(expected, "_tied_weights_keys", None) or {}
    left_out = getattr(expected, "_keys_to_ignore_on_load_unexpected", None) or ()
    missing = sorted(set(shapes) - set(found) - set(tied))
    unexpected = sorted(
        name
        for name in set(found) - set(shapes)
        if not any(re.search(pattern, name) for pattern in left_out)
    )
    wrong = sorted(name for name in set(shapes) & set(found) if shapes[name] != found[name])
    faults = [
        f"{title}: {_listed(names)}"
        for title, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", [f"{name} {found[name]}, not {shapes[name]}" for name in wrong]),
        )
        if names
    ]
    if faults:
        raise CheckpointError(
            f"{path} does not fit its config.json; weights {'; '.join(faults)}. {CURE}"
        )


def _listed(names: list[str], limit: int = 8) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
