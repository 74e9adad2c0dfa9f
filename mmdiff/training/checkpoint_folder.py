"""A checkpoint on disk: a folder that is there whole or not at all, and can prove it.

    step_00001200/
      state.json               everything that is not a tensor, and the names of the tensors
      weights.safetensors      the module's state_dict, averaged weights included
      optimizer.safetensors    optimizer states
      other.safetensors        tensors of callbacks and loops, if any
      manifest.json            schema, step, and size and sha256 of every file; written last

It is written as `step_00001200.tmp`, flushed to disk, and renamed. A folder without a valid
manifest does not exist.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mmdiff.training.checkpoint_state import join_state, split_state

SCHEMA = 1
_log = logging.getLogger(__name__)
_PARTS = {"state_dict": "weights", "optimizer_states": "optimizer"}


class DamagedCheckpoint(ValueError):  # noqa: N818
    """A checkpoint folder that is not what its manifest says; the message names the file and what
    is wrong."""


def write_checkpoint(state: dict[str, Any], folder: Path) -> None:
    """Write `state` to `folder`; if killed at any moment, `folder` is absent, the old one, or
    complete."""
    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    document, tensors = split_state(state)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part = _PARTS.get(name.lstrip("/").split("/")[0], "other")
        parts.setdefault(part, {})[name] = tensor
    for part, content in parts.items():
        save_file(content, temporary / f"{part}.safetensors")
    (temporary / "state.json").write_text(json.dumps(document))
    files = {path.name: _facts(path) for path in sorted(temporary.iterdir())}
    for path in temporary.iterdir():
        _flush(path)
    manifest = {"schema": SCHEMA, "step": state.get("global_step", 0), "files": files}
    (temporary / "manifest.json").write_text(json.dumps(manifest, indent=1))
    _flush(temporary / "manifest.json")
    _flush(temporary)
    _publish(temporary, folder)


def verify_checkpoint(folder: Path) -> dict[str, Any]:
    """The manifest of `folder`, after checking every file against it; DamagedCheckpoint says what
    is wrong."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise DamagedCheckpoint(f"{folder} has no manifest.json: it was never finished")
    try:
        manifest = json.loads(path.read_text())
        schema, files = manifest["schema"], manifest["files"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise DamagedCheckpoint(f"{path} is damaged: {error}") from error
    if schema != SCHEMA:
        raise DamagedCheckpoint(f"{folder} has schema {schema}; this version reads schema {SCHEMA}")
    for name, expected in files.items():
        if Path(name).name != name or not (folder / name).is_file():
            raise DamagedCheckpoint(f"{folder / name} is missing")
        size = (folder / name).stat().st_size
        if size != expected["bytes"]:
            raise DamagedCheckpoint(
                f"{folder / name} has {size} bytes instead of {expected['bytes']}"
            )
        if _facts(folder / name) != expected:
            raise DamagedCheckpoint(f"{folder / name} does not match its sha256")
    return manifest


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The state in `folder`, verified first."""
    manifest = verify_checkpoint(folder)
    try:
        tensors: dict[str, Tensor] = {}
        for name in manifest["files"]:
            if name.endswith(".safetensors"):
                tensors |= load_file(folder / name)
        return join_state(json.loads((folder / "state.json").read_text()), tensors)
    except (SafetensorError, KeyError) as error:
        raise DamagedCheckpoint(f"{folder} cannot be read: {error}") from error


def checkpoints_in(folder: Path) -> list[Path]:
    """Checkpoint folders in `folder`, newest first, valid or not."""
    return sorted(folder.glob("step_*[0-9]"), key=lambda path: path.name, reverse=True)


def latest_checkpoint(folder: Path, *, strict: bool = False) -> Path | None:
    """The newest valid checkpoint in `folder`, or None; damaged ones are named in the log, or
    raised if `strict`."""
    for path in checkpoints_in(folder):
        try:
            verify_checkpoint(path)
        except DamagedCheckpoint as error:
            if strict:
                raise
            _log.warning("skipping a damaged checkpoint: %s", error)
            continue
        return path
    return None


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written or half deleted."""
    for path in _leftovers(folder):
        if path.suffix == ".old" and not path.with_suffix("").exists():
            os.replace(path, path.with_suffix(""))
            continue
        _log.info("removing the unfinished %s", path)
        shutil.rmtree(path, ignore_errors=True)


def retain(folder: Path, keep: int) -> None:
    """Delete all but the `keep` newest checkpoints; renamed first, so that a kill leaves none half
    deleted."""
    for path in checkpoints_in(folder)[max(keep, 1) :]:
        doomed = path.with_name(path.name + ".tmp")
        os.replace(path, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def _leftovers(folder: Path) -> Iterator[Path]:
    yield from folder.glob("step_*.old")
    yield from folder.glob("step_*.tmp")


def _publish(temporary: Path, folder: Path) -> None:
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(temporary, folder)
    _flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
