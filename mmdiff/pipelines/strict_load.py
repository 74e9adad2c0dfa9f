"""What diffusers accepts in silence when it loads, refused before anything is built."""

import difflib
import importlib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers.configuration_utils import ConfigMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mmdiff.pipelines.checkpoint_files import (
    CURE,
    CheckpointError,
    finite_tensor_shapes,
    read_json,
    refuse_adapter,
    refuse_unsafe_files,
    weight_files,
)

TRUSTED_LIBRARIES = ("diffusers", "transformers", "mmdiff")
COMPONENTS = (ModelMixin, SchedulerMixin, PreTrainedModel, PreTrainedTokenizerBase)
BOOKKEEPING = ("_class_name", "_diffusers_version", "_name_or_path", "_commit_hash")
LARGEST_SIZE = 2**20


def check_checkpoint(
    folder: Path, *, pipeline: Any, variant: str | None = None, given: Collection[str] = ()
) -> None:
    """Read every file of a pipeline folder and refuse what is damaged, unsafe or does not fit.

    Refused are: unreadable JSON, pickles and code, classes from anywhere but diffusers,
    transformers and mmdiff, unknown config keys, sizes out of bounds, missing, unexpected or
    wrongly shaped weights, NaN and infinity.

    folder    the pipeline folder, with a model_index.json
    pipeline  the class that wrote it
    given     components that the caller brings along, which are not read from the folder

    Raises CheckpointError.
    """
    path = folder / "model_index.json"
    index = read_json(path)
    refuse_unsafe_files(folder)
    if index.get("_class_name") != pipeline.__name__:
        raise CheckpointError(
            f"{path} is of a {index.get('_class_name')}, not of a {pipeline.__name__}. Load it "
            f"with that class, or give a folder that {pipeline.__name__}.save_pretrained wrote."
        )
    parameters = inspect.signature(pipeline).parameters
    _check_config_keys(path, index, set(parameters))
    optional = pipeline._optional_components
    for name, parameter in parameters.items():
        is_component = parameter.default is parameter.empty or name in optional
        if not is_component or name in given:
            continue
        if name in optional and index.get(name) in (None, [None, None]):
            continue
        _check_component(folder / name, _component_class(folder, name, index.get(name)), variant)


def _component_class(folder: Path, name: str, entry: Any) -> type:
    if (
        not isinstance(entry, list)
        or len(entry) != 2
        or not all(isinstance(part, str) for part in entry)
    ):
        raise CheckpointError(
            f"{folder / 'model_index.json'}: {name} is {entry!r}, not [library, class]. {CURE}"
        )
    library, class_name = entry
    if library not in TRUSTED_LIBRARIES and not library.startswith("mmdiff."):
        raise CheckpointError(
            f"{folder / 'model_index.json'}: {name} is to be loaded from {library!r}; a "
            f"checkpoint may only name {', '.join(TRUSTED_LIBRARIES)}. Build it yourself and "
            f"pass it: from_pretrained(folder, {name}=...)."
        )
    try:
        found = getattr(importlib.import_module(library), class_name)
    except (ImportError, AttributeError):
        raise CheckpointError(
            f"{folder / 'model_index.json'}: {name} is a {library}.{class_name}, which is not "
            "installed here. Install the version of mmdiff that wrote the checkpoint."
        ) from None
    if not isinstance(found, type) or not issubclass(found, COMPONENTS):
        raise CheckpointError(
            f"{folder / 'model_index.json'}: {name} is {library}.{class_name}, no component. {CURE}"
        )
    return found


def _check_component(folder: Path, component: type, variant: str | None) -> None:
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is missing. {CURE}")
    refuse_unsafe_files(folder)
    for path in sorted(folder.glob("*.json")):
        if "auto_map" in read_json(path):
            raise CheckpointError(
                f"{path} asks for code of its own (auto_map), which mmdiff never runs. {CURE}"
            )
    if issubclass(component, SchedulerMixin):
        _check_scheduler(folder / "scheduler_config.json", component)
    if not issubclass(component, torch.nn.Module):
        return
    refuse_adapter(folder)
    config_path = folder / "config.json"
    config = read_json(config_path)
    is_of_diffusers = issubclass(component, ConfigMixin)
    name = "diffusion_pytorch_model" if is_of_diffusers else "model"
    files = weight_files(folder, variant, name=name)
    found = finite_tensor_shapes(files)
    _check_bounds(config_path, config)
    _check_counts(config_path, config, num_tensors=len(found))
    _check_keys(files[0], found, expected=_empty_model(component, config_path, config))


def _check_scheduler(path: Path, component: Any) -> None:
    config = read_json(path)
    _check_bounds(path, config)
    try:
        component.from_config(config)
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise CheckpointError(
            f"{path} describes no {component.__name__} ({error}). {CURE}"
        ) from error


def _check_bounds(path: Path, config: Mapping[str, Any]) -> None:
    for key, value in _integers(config):
        if not -1 <= value <= LARGEST_SIZE:
            raise CheckpointError(
                f"{path}: {key} is {value}; it must be from 0 to {LARGEST_SIZE}. {CURE}"
            )


def _check_counts(path: Path, config: Mapping[str, Any], *, num_tensors: int) -> None:
    """Refuse more layers, or stages of blocks, than the weights can fill: building them alone
    would take hours."""
    longest = max([1, *(len(value) for value in config.values() if isinstance(value, list))])
    counts = {key: value for key, value in _integers(config) if "layers" in key or "blocks" in key}
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


def _empty_model(component: Any, path: Path, config: dict[str, Any]) -> torch.nn.Module:
    """The model that `config` describes, without memory for its weights."""
    try:
        if issubclass(component, ConfigMixin):
            known = set(inspect.signature(component.__init__).parameters)
            build = component.from_config
        else:
            known = set(component.config_class().to_dict())
            build = _of_transformers(component)
        _check_config_keys(path, config, known)
        with init_empty_weights():
            model: torch.nn.Module = build(config)
            return model
    except CheckpointError:
        raise
    except (
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        raise CheckpointError(
            f"{path} describes no {component.__name__} ({error}). {CURE}"
        ) from error


def _of_transformers(component: Any) -> Callable[[dict[str, Any]], torch.nn.Module]:
    return lambda config: component(component.config_class.from_dict(config))


def _check_config_keys(path: Path, config: Mapping[str, Any], known: set[str]) -> None:
    standard = {"architectures", "model_type", "transformers_version", "dtype", "torch_dtype"}
    for key in config:
        if key in BOOKKEEPING or key in known | standard:
            continue
        nearest = difflib.get_close_matches(key, known, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else "."
        raise CheckpointError(
            f"{path}: unknown key {key!r}{hint} Remove it, or install the mmdiff that wrote it."
        )


def _check_keys(
    path: Path, found: Mapping[str, tuple[int, ...]], *, expected: torch.nn.Module
) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in expected.state_dict().items()}
    tied = getattr(expected, "_tied_weights_keys", None) or {}
    missing = sorted(set(shapes) - set(found) - set(tied))
    unexpected = sorted(set(found) - set(shapes))
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
