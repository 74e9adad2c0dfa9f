"""What diffusers accepts in silence when it loads, refused before anything is built."""

import importlib
import inspect
from collections.abc import Collection
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mmdiff.loading.component import (
    FAULTS_OF_A_CONFIG,
    check_bounds,
    check_component,
    check_config_keys,
    check_settings,
    refuse_unsafe_files,
)
from mmdiff.loading.folder import pipeline_folder
from mmdiff.loading.json_file import HINT, CheckpointError, read_json

HUB_KEYWORDS = ("revision", "cache_dir", "token", "local_files_only")
TRUSTED_LIBRARIES = ("diffusers", "transformers", "mmdiff")
COMPONENTS = (ModelMixin, SchedulerMixin, PreTrainedModel, PreTrainedTokenizerBase)


def prepare_loading(
    pipeline: Any, name: str | PathLike[str] | None, *, keywords: dict[str, Any]
) -> tuple[Path, dict[str, Any]]:
    """The folder of pipeline `name`, checked, and the keywords that diffusers loads it with.

    keywords  those of `from_pretrained`: diffusers', and `strict`, which is ours

    Raises CheckpointError, which names the file and a hint; ValueError for use_safetensors=False.
    """
    rest = dict(keywords)
    is_strict = rest.pop("strict", True)
    if not rest.pop("use_safetensors", True):
        raise ValueError("use_safetensors is False; mmdiff loads nothing else: leave it out")
    rest["dtype"] = rest.pop("torch_dtype", None) or rest.get("dtype") or torch.float32
    hub = {key: rest.pop(key) for key in HUB_KEYWORDS if key in rest}
    folder = pipeline_folder(name, **hub)
    if is_strict:
        check_pipeline(folder, pipeline=pipeline, variant=rest.get("variant"), given=rest.keys())
    return folder, rest | {"use_safetensors": True}


def check_pipeline(
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
    check_config_keys(path, index, set(parameters))
    optional = pipeline._optional_components
    for name, parameter in parameters.items():
        is_component = parameter.default is parameter.empty or name in optional
        if not is_component or name in given:
            continue
        if name in optional and index.get(name) in (None, [None, None]):
            continue
        kind = _component_class(folder, name, index.get(name))
        _check_component(folder / name, kind, variant, root=folder)


def _component_class(folder: Path, name: str, entry: Any) -> type:
    if (
        not isinstance(entry, list)
        or len(entry) != 2
        or not all(isinstance(part, str) for part in entry)
    ):
        raise CheckpointError(
            f"{folder / 'model_index.json'}: {name} is {entry!r}, not [library, class]. {HINT}"
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
            f"{folder / 'model_index.json'}: {name} is {library}.{class_name}, no component. {HINT}"
        )
    return found


def _check_component(folder: Path, kind: type, variant: str | None, *, root: Path) -> None:
    if issubclass(kind, torch.nn.Module):
        check_component(folder, kind, variant=variant, root=root)
        return
    check_settings(folder, root=root)
    if issubclass(kind, SchedulerMixin):
        _check_scheduler(folder / "scheduler_config.json", kind, root=root)


def _check_scheduler(path: Path, kind: Any, *, root: Path) -> None:
    config = read_json(path, root=root)
    check_bounds(path, config)
    try:
        kind.from_config(config)
    except FAULTS_OF_A_CONFIG as error:
        raise CheckpointError(f"{path} describes no {kind.__name__} ({error}). {HINT}") from error
