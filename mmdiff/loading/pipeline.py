"""A pipeline's folder: what diffusers accepts in silence is refused before anything is built."""

import inspect
from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from mmdiff.loading.allowed import component_class
from mmdiff.loading.component import check_component
from mmdiff.loading.folder import pipeline_folder
from mmdiff.loading.json_file import HINT, CheckpointError, read_json
from mmdiff.loading.settings import (
    BOOKKEEPING,
    check_config_keys,
    read_settings,
    refuse_unsafe_files,
    refused_faults,
)
from mmdiff.loading.tokenizer import check_tokenizer

HUB_KEYWORDS = ("revision", "cache_dir", "token", "local_files_only")
LARGEST_SETTING = 2**20  # frames, pixels, steps, scales
MOST_TIMESTEPS = 2**16


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
        if name in given:
            continue
        if parameter.default is not parameter.empty and name not in optional:
            _check_setting(path, name, index, default=parameter.default)
        elif name not in optional or index.get(name) not in (None, [None, None]):
            _check_entry(path, name, index.get(name), variant)
    for name in BOOKKEEPING:
        if not isinstance(index.get(name, ""), str):
            raise CheckpointError(f"{path}: {name} is {index[name]!r}, not a text. {HINT}")


def _check_entry(path: Path, name: str, entry: Any, variant: str | None) -> None:
    role, kind = component_class(path, name, entry)
    folder, root = path.parent / name, path.parent
    if role == "tokenizer":
        check_tokenizer(folder, root=root)
    elif role == "scheduler":
        _check_scheduler(folder, kind, root=root)
    else:
        check_component(folder, kind, variant=variant, root=root)


def _check_scheduler(folder: Path, kind: Any, *, root: Path) -> None:
    """Built, and asked for eight steps: some values fail only then."""
    path = folder / "scheduler_config.json"
    config = read_settings(folder, root=root).get(path.name)
    if config is None:
        raise CheckpointError(f"{path} is missing. {HINT}")
    for key, value in config.items():
        if isinstance(value, int) and abs(value) > MOST_TIMESTEPS:
            raise CheckpointError(f"{path}: {key} is {value}; it must be at most {MOST_TIMESTEPS}")
    with refused_faults(path, kind.__name__):
        scheduler = kind.from_config(config)
        shift = {"mu": 1.0} if scheduler.config.get("use_dynamic_shifting") else {}
        scheduler.set_timesteps(8, **shift)
        assert bool(torch.as_tensor(scheduler.timesteps).isfinite().all()), "its steps end nowhere"


def _check_setting(path: Path, name: str, index: Mapping[str, Any], *, default: Any) -> None:
    """CheckpointError where a setting is of another type than its default, or is no number that a
    clip can have."""
    value = index.get(name, default)
    if value is None and default is None:
        return
    legal: Any = (int, float) if isinstance(default, float | None) else type(default)
    if not isinstance(value, legal) or isinstance(value, bool):
        kind = "text" if isinstance(default, str) else "number"
        raise CheckpointError(f"{path}: {name} is {value!r}; it must be a {kind}. {HINT}")
    least = 1 if isinstance(default, int) or name == "frame_rate" else 0
    if not isinstance(value, str) and not least <= value <= LARGEST_SETTING:
        raise CheckpointError(
            f"{path}: {name} is {value}; it must be from {least} to {LARGEST_SETTING}. {HINT}"
        )
