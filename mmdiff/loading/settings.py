"""The JSON files of one component, and what a configuration may not say."""

import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmdiff.loading.json_file import HINT, CheckpointError, check_file, read_json

Settings = Mapping[str, dict[str, Any]]

UNSAFE_SUFFIXES = (
    *(".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".h5", ".msgpack"),
    ".py",
)
BOOKKEEPING = ("_class_name", "_diffusers_version", "_name_or_path", "_commit_hash")
COUNTED = re.compile(r"(^|_)n(um)?_|layers|blocks|depth|labels", re.IGNORECASE)
MOST_COUNTED = 2**16  # layers, heads, labels, timesteps: what constructors run a loop over
# tokenizers raises Exception itself, of whatever its Rust code finds wrong
FAULTS_OF_A_FILE: tuple[type[Exception], ...] = (Exception,)


def read_settings(folder: Path, *, root: Path | None = None) -> Settings:
    """Every JSON file of `folder` by its name.

    root  the folder that links may not lead out of; None: `folder`

    Raises CheckpointError for a folder that is missing, that holds pickles, code, or what is no
    file inside `root`; for damaged JSON, and for JSON that asks for code of its own or counts
    further than any model.
    """
    root = root or folder
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is missing. {HINT}")
    refuse_unsafe_files(folder)
    for path in sorted(folder.rglob("*")):
        check_file(path, root)
    return {path.name: _read(path, root) for path in sorted(folder.glob("*.json"))}


def _read(path: Path, root: Path) -> dict[str, Any]:
    content = read_json(path, root=root)
    if "auto_map" in content:
        raise CheckpointError(
            f"{path} asks for code of its own (auto_map), which mmdiff never runs. {HINT}"
        )
    if path.name.endswith("config.json"):
        for key, value in _whole_numbers(content):
            if COUNTED.search(key) and value > MOST_COUNTED:
                raise CheckpointError(
                    f"{path}: {key} is {value}; at most {MOST_COUNTED} can be built. {HINT}"
                )
    return content


def _whole_numbers(value: Any, key: str = "") -> Iterator[tuple[str, int]]:
    """Each with the nearest key above it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _whole_numbers(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _whole_numbers(item, key)
    elif isinstance(value, int):
        yield key, value


def refuse_unsafe_files(folder: Path) -> None:
    """CheckpointError if `folder` holds pickles or code, which loading must never touch."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in UNSAFE_SUFFIXES:
            raise CheckpointError(
                f"{path} is a {path.suffix} file, which can hold code; mmdiff loads weights from "
                ".safetensors and settings from .json only. Remove it, or convert the weights "
                "with save_pretrained."
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


@contextmanager
def refused_faults(path: Path, kind: str) -> Iterator[None]:
    """CheckpointError for whatever a library raises that builds a `kind` from `path`: all that such
    code can be wrong about is in the file."""
    try:
        yield
    except CheckpointError:
        raise
    except FAULTS_OF_A_FILE as error:
        reason = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path} describes no {kind} ({reason}). {HINT}") from error
