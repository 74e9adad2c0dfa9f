"""A checkpoint on disk: a folder that is there whole or not at all, and can prove it.

    step_00001200/
      state.json               everything that is not a tensor, and the names of the tensors
      weights.safetensors      the module's state_dict, averaged weights included
      optimizer.safetensors    optimizer states
      other.safetensors        tensors of callbacks and loops, if any
      configuration.json       what the run was started with, where it is known
      manifest.json            schema, step, and size and sha256 of every file; written last

It is written as `step_00001200.tmp`, flushed to disk, and renamed. A folder without a valid
manifest does not exist.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mmdiff.media.atomic import FULL, error_number, flush, past_stale, share
from mmdiff.training.checkpoint_state import join_state, split_state
from mmdiff.training.manifest import DamagedCheckpoint, Manifest, step_of

_PARTS = {"state_dict": "weights", "optimizer_states": "optimizer"}
_log = logging.getLogger(__name__)


class CheckpointNotSaved(OSError):  # noqa: N818
    """A checkpoint could not be written, and nothing is left of it; the message names the folder,
    what the system said, and a hint."""


def write_checkpoint(
    state: dict[str, Any], folder: Path, *, configuration: Mapping[str, Any] | None = None
) -> None:
    """Write `state` to `folder`; if killed at any moment, `folder` is absent, the old one, or
    complete. Raises CheckpointNotSaved if the disk refuses, with `folder` as it was."""
    document, tensors = split_state(state)
    texts = {"state.json": json.dumps(document)}
    if configuration is not None:
        texts["configuration.json"] = json.dumps(configuration, indent=1)
    temporary = folder.with_name(f"{folder.name}.tmp")

    def write() -> None:
        _write_files(temporary, tensors, texts, step=int(state.get("global_step", 0)))
        publish(temporary, folder)

    try:
        past_stale(write)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if error_number(error) is None and not isinstance(error, OSError):
            raise
        num_bytes = sum(t.nbytes for t in tensors.values()) + sum(map(len, texts.values()))
        raise CheckpointNotSaved(_not_saved(folder, error, num_bytes)) from error


def _write_files(
    temporary: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str], *, step: int
) -> None:
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part = _PARTS.get(name.lstrip("/").split("/")[0], "other")
        parts.setdefault(part, {})[name] = tensor
    for part, content in parts.items():
        save_file(content, temporary / f"{part}.safetensors")
    for name, text in texts.items():
        (temporary / name).write_text(text)
    files = sorted(temporary.iterdir())
    Manifest.of(files, step=step).write(temporary)
    for path in (*files, temporary / "manifest.json", temporary):
        flush(path)


def publish(temporary: Path, folder: Path) -> None:
    """Move `temporary` to `folder`, instead of what was there, which stays if the disk refuses."""
    old = folder.with_name(f"{folder.name}.old")
    share(temporary)
    if folder.exists():  # a folder cannot be replaced by another in one step, only renamed
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    try:
        os.replace(temporary, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    flush(folder.parent)  # or a power cut could undo the renaming
    shutil.rmtree(old, ignore_errors=True)


def _not_saved(folder: Path, error: OSError | SafetensorError, num_bytes: int) -> str:
    number = error_number(error)
    reason, hint = os.strerror(number).lower() if number else str(error), "see to that"
    if number in FULL:
        parent = next(path for path in folder.parents if path.is_dir())
        free = shutil.disk_usage(parent).free
        reason += f"; it needs {num_bytes:,} bytes and {free:,} are free"
        hint = "make room"
    return (
        f"cannot write {folder}: {reason}; earlier checkpoints are untouched: {hint}, then start "
        "the run again with the same output_dir"
    )


def verify_checkpoint(folder: Path) -> Manifest:
    """The manifest of `folder`, after checking every file against it; DamagedCheckpoint says what
    is wrong."""

    def verify() -> Manifest:
        manifest = Manifest.read(folder)
        manifest.verify(folder)
        return manifest

    try:
        return past_stale(verify)
    except OSError as error:  # a failing disk, or a folder that is being deleted
        raise DamagedCheckpoint(f"{folder} cannot be read: {error}") from error


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """The state in `folder`, verified first; DamagedCheckpoint where it cannot be read."""
    manifest = verify_checkpoint(folder)
    try:
        tensors: dict[str, Tensor] = {}
        for name in manifest.files:
            if name.endswith(".safetensors"):
                tensors |= load_file(folder / name)
        state: dict[str, Any] = join_state(json.loads((folder / "state.json").read_text()), tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"{folder} cannot be read: {error}") from error
    return state


def read_configuration(folder: Path) -> dict[str, Any] | None:
    """What the run that left the checkpoint `folder` was started with; None where it is not
    known."""
    path = folder / "configuration.json"
    return json.loads(path.read_text()) if path.is_file() else None


def checkpoints_in(folder: Path) -> list[Path]:
    """Checkpoint folders in `folder`, newest first, valid or not."""
    steps = {path: step_of(path) for path in folder.glob("step_*")}
    numbered = [(step, path) for path, step in steps.items() if step is not None]
    return [path for _, path in sorted(numbered, reverse=True)]


def latest_checkpoint(folder: Path, *, strict: bool = False) -> Path | None:
    """The newest valid checkpoint in `folder`, or None; damaged ones are named in the log, or
    raised if `strict`."""
    found = checkpoints_in(folder)
    return next((path for path in found if _is_valid(path, strict=strict)), None)


def retain(folder: Path, keep: int, *, also: Path | None = None) -> None:
    """Delete what is older than the `keep` newest valid checkpoints, but for the one `also`;
    renamed first, so that a kill leaves none half deleted.

    A damaged one does not count, or it would outlive those that a run can be resumed from.
    """
    num_valid = 0
    for path in checkpoints_in(folder):
        if num_valid < max(keep, 1):
            num_valid += _is_valid(path)
        elif path != also:
            doomed = path.with_name(f"{path.name}.tmp")
            os.replace(path, doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def _is_valid(path: Path, *, strict: bool = False) -> bool:
    try:
        verify_checkpoint(path)
    except DamagedCheckpoint as error:
        if strict:
            raise
        _log.warning("skipping a damaged checkpoint: %s", error)
        return False
    return True


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written or half deleted; the log says how much."""
    removed = 0
    for path in (*folder.glob("step_*.old"), *folder.glob("step_*.tmp")):
        if path.suffix == ".old" and not path.with_suffix("").exists():
            os.replace(path, path.with_suffix(""))  # killed between the two renamings of `publish`
            continue
        shutil.rmtree(path, ignore_errors=True)
        removed += 1
    if removed:
        _log.info("removed %d unfinished checkpoints of killed processes in %s", removed, folder)


class SafeCheckpointIO(CheckpointIO):
    """Has Lightning write and read such folders. Its own writer goes through the folder for
    temporary files, and where that is another filesystem a kill leaves half a checkpoint in place
    of the previous one.

    configuration: of the run, plain values, kept in each checkpoint, so that a run resumed with
        another one can report what has changed.
    """

    def __init__(self, configuration: Mapping[str, Any] | None = None) -> None:
        self.configuration = configuration

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,
    ) -> None:
        folder = Path(path)
        sweep(folder.parent)
        write_checkpoint(checkpoint, folder, configuration=self.configuration)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))  # on the CPU; the strategy moves it

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        shutil.rmtree(path, ignore_errors=True)
