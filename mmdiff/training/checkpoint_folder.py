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
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from mmdiff.media.atomic import FULL, error_number, past_stale, share
from mmdiff.testing.fault_plan import fault_point
from mmdiff.training.checkpoint_state import join_state, named_tensors, split_state
from mmdiff.training.manifest import DamagedCheckpoint, FileFacts, Manifest, step_of

_log = logging.getLogger(__name__)
_PARTS = {"state_dict": "weights", "optimizer_states": "optimizer"}
_OF_A_STATE = ("global_step", "state_dict")
_OF_A_RUN = ("optimizer_states", "lr_schedulers", "loops")  # beside them, where Lightning saved


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
    num_bytes = sum(t.nbytes for t in tensors.values()) + sum(map(len, texts.values()))
    temporary = folder.with_name(folder.name + ".tmp")
    step = int(state.get("global_step", 0))

    def write() -> None:
        _write_files(temporary, tensors, texts, step)
        _publish(temporary, folder, step)

    try:
        past_stale(write)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        number = error_number(error)
        if number is None and not isinstance(error, OSError):
            raise
        reason = os.strerror(number).lower() if number else str(error)
        raise CheckpointNotSaved(_not_saved(folder, reason, number, num_bytes)) from error


def _write_files(
    temporary: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str], step: int
) -> None:
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part = _PARTS.get(name.lstrip("/").split("/")[0], "other")
        parts.setdefault(part, {})[name] = tensor
    for part, content in parts.items():
        fault_point("checkpoint.write", step)
        save_file(content, temporary / f"{part}.safetensors")
        fault_point("checkpoint.written", step)
    for name, text in texts.items():
        fault_point("checkpoint.write", step)
        (temporary / name).write_text(text)
        fault_point("checkpoint.written", step)
    manifest = Manifest(
        step, {path.name: FileFacts.of(path) for path in sorted(temporary.iterdir())}
    )
    for path in temporary.iterdir():
        fault_point("checkpoint.flush", step)
        _flush(path)
    fault_point("checkpoint.manifest", step)
    (temporary / "manifest.json").write_text(manifest.text)
    _flush(temporary / "manifest.json")
    _flush(temporary)


def verify_checkpoint(folder: Path) -> Manifest:
    """The manifest of `folder`, after checking every file against it; DamagedCheckpoint says what
    is wrong."""

    def check() -> Manifest:
        manifest = Manifest.read(folder)
        for name, expected in manifest.files.items():
            _verify(folder / name, expected)
        _check_parts(folder, manifest)
        return manifest

    try:
        return past_stale(check)
    except OSError as error:  # a failing disk, or a folder that is being deleted
        raise DamagedCheckpoint(f"{folder} cannot be read: {error}") from error


def _check_parts(folder: Path, manifest: Manifest) -> None:
    """A manifest that was written anew proves what is left, not that it is all."""
    try:
        document = json.loads((folder / "state.json").read_bytes())
        named = set(named_tensors(document))
        for name in manifest.files:
            if name.endswith(".safetensors"):
                with safe_open(folder / name, framework="pt") as file:
                    named -= set(file.keys())
    except (SafetensorError, ValueError, RecursionError) as error:
        raise DamagedCheckpoint(f"{folder} cannot be read: {error}") from error
    needed = (*_OF_A_STATE, *(_OF_A_RUN if "pytorch-lightning_version" in document else ()))
    lost = [name for name in needed if name not in document] + sorted(named)
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise DamagedCheckpoint(f"{folder} lacks {', '.join(lost[:3])}{more}")


def _verify(path: Path, expected: FileFacts) -> None:
    if not path.is_file():
        raise DamagedCheckpoint(f"{path} is missing")
    size = path.stat().st_size
    if size != expected.bytes:
        raise DamagedCheckpoint(f"{path} has {size} bytes instead of {expected.bytes}")
    if FileFacts.of(path) != expected:
        raise DamagedCheckpoint(f"{path} does not match its sha256")


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


def checkpoints_in(folder: Path) -> list[Path]:
    """Checkpoint folders in `folder`, newest first, valid or not."""
    steps = {path: step_of(path) for path in folder.glob("step_*")}
    numbered = [(step, path) for path, step in steps.items() if step is not None]
    return [path for _, path in sorted(numbered, reverse=True)]


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


def read_configuration(folder: Path) -> dict[str, Any] | None:
    """What the run that left the checkpoint `folder` was started with; None where it is not
    known."""
    path = folder / "configuration.json"
    return json.loads(path.read_text()) if path.is_file() else None


def sweep(folder: Path) -> None:
    """Remove what killed processes left half written or half deleted; the log tells how much."""
    removed = 0
    for path in _leftovers(folder):
        if path.suffix == ".old" and not path.with_suffix("").exists():
            os.replace(path, path.with_suffix(""))
            continue
        shutil.rmtree(path, ignore_errors=True)
        removed += 1
    if removed:
        _log.info("removed %d unfinished checkpoints of killed processes in %s", removed, folder)


def retain(
    folder: Path,
    keep: int,
    *,
    verdicts: MutableMapping[Path, bool] | None = None,
    also: Path | None = None,
) -> None:
    """Delete what is older than the `keep` newest valid checkpoints, but for the one `also`;
    renamed first, so that a kill leaves none half deleted.

    A damaged one does not count, or it would outlive those that a run can be resumed from.

    verdicts: whether a checkpoint is known to be valid, so that each is read only once; what is
        found out is added.
    """
    known = {} if verdicts is None else verdicts
    num_valid = 0
    for path in checkpoints_in(folder):
        if num_valid >= max(keep, 1):
            if path == also:
                continue
            known.pop(path, None)
            _delete(path)
            continue
        if path not in known:
            known[path] = _is_valid(path)
        num_valid += known[path]


def _is_valid(path: Path) -> bool:
    try:
        verify_checkpoint(path)
    except DamagedCheckpoint as error:
        _log.warning("a damaged checkpoint does not count as kept: %s", error)
        return False
    return True


def _delete(path: Path) -> None:
    fault_point("checkpoint.delete")
    doomed = path.with_name(path.name + ".tmp")
    os.replace(path, doomed)
    fault_point("checkpoint.deleting")
    shutil.rmtree(doomed, ignore_errors=True)


def _leftovers(folder: Path) -> Iterator[Path]:
    yield from folder.glob("step_*.old")
    yield from folder.glob("step_*.tmp")


def _publish(temporary: Path, folder: Path, step: int) -> None:
    old = folder.with_name(folder.name + ".old")
    share(temporary)
    fault_point("checkpoint.publish", step)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    try:
        fault_point("checkpoint.replace", step)
        os.replace(temporary, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    fault_point("checkpoint.published", step)
    _flush(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _not_saved(folder: Path, reason: str, number: int | None, num_bytes: int) -> str:
    parent = next(path for path in folder.parents if path.is_dir())
    hint = "see to that"
    if number in FULL:
        free = shutil.disk_usage(parent).free
        reason += f"; it needs {num_bytes:,} bytes and {free:,} are free"
        hint = "make room"
    return (
        f"cannot write {folder}: {reason}; earlier checkpoints are untouched: {hint}, then start "
        "the run again with the same output_dir"
    )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
