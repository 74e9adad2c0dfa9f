"""Where a run goes on: its lock, the checkpoint it is resumed from, and what has changed since."""

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiff.training.checkpoint_folder import (
    checkpoints_in,
    latest_checkpoint,
    read_configuration,
)
from mmdiff.training.manifest import Manifest, step_of
from mmdiff.values.usage_error import UsageError

_log = logging.getLogger(__name__)
LEFT_BY_A_RUN = ("checkpoints.json", "components")  # once it has saved, or ended
# Weights, their meaning or the state of the optimizer depend on these.
_OF_THE_MODEL = (
    *("backbone", "autoencoder", "vocoder", "text", "mel"),
    *("critic._target_", "critic.network", "module._target_", "module.name", "module.inputs"),
    *("module.transformer", "module.text", "module.autoencoder", "module.vocoder"),
    *("module.critic._target_", "module.critic.network"),
    *("optimizer.optimizer._target_", "module.optimizer._target_"),
)
# Where a run lies, and how it is started.
_OF_THE_START = ("resume", "ckpt_path", "strict_resume", "output_dir")
_ABSENT = "(absent)"


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold `folder` until the block or this process ends, however it ends. A lock of fcntl is not
    inherited: a forked worker that outlives a killed run does not hold it.

    Raises UsageError where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            file.seek(0)
            raise UsageError(
                f"output_dir={folder} is being trained in by process {file.read().strip() or '?'}",
                hint="another output_dir; or wait until that one has ended",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def find_checkpoint(config: Mapping[str, Any]) -> Path | None:
    """The checkpoint that `resume` means, or None to start anew.

    auto (or `ckpt_path=last`): the newest valid one of the run, if any; best: the one with the best
    validation; null: none; or the path of a checkpoint or of a run.

    Raises UsageError for a path without a checkpoint, for a run whose checkpoints are all damaged
    or whose model has other settings than the checkpoint's, and for one that would leave two
    histories in one folder.
    """
    asked = config["resume"] if config.get("ckpt_path") is None else config["ckpt_path"]
    own = Path(config["output_dir"]) / "checkpoints"
    is_strict = bool(config["strict_resume"])
    if asked in ("auto", "last"):
        found = latest_checkpoint(own, strict=is_strict) if own.is_dir() else None
        if found is None:
            _check_not_lost(own)
    else:
        path = _best_of(own) if asked == "best" else asked
        found = None if path is None else _checkpoint_at(Path(path), strict=is_strict)
        if not config.get("validate_only"):
            _check_history(own, found)
    changes = [] if found is None else changes_since(found, config)
    refused = [change for change in changes if is_of_the_model(change.key)]
    if refused:
        raise UsageError(
            f"{found} is of another model: {'; '.join(map(str, without_copies(refused)))}",
            hint="give these keys their old values, or another output_dir to start anew",
        )
    return found


def log_resumed(checkpoint: Path, config: Mapping[str, Any]) -> None:
    """What is configured otherwise than when `checkpoint` was saved, and whether a step is left."""
    _log.info("resuming from %s", checkpoint)
    for change in without_copies(changes_since(checkpoint, config)):
        _log.info("changed since %s: %s", checkpoint.name, change)
    step, most = Manifest.read(checkpoint).step, config["max_steps"]
    if step >= most:
        _log.warning(
            "nothing is left to train: %s stands at step %d, and max_steps is %d; give a larger "
            "max_steps to go on",
            *(checkpoint, step, most),
        )


def _best_of(own: Path) -> Path:
    record = own.with_name(f"{own.name}.json")
    best = json.loads(record.read_text()).get("best") if record.is_file() else None
    if best is None:
        raise UsageError(
            f"{own.parent} has no best checkpoint: it has not validated",
            hint="resume=auto for the newest one; data.val_fraction=0.05 validates while training",
        )
    return own / str(best)


def _checkpoint_at(path: Path, *, strict: bool) -> Path:
    if (path / "manifest.json").is_file():
        return path
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    found = latest_checkpoint(folder, strict=strict) if folder.is_dir() else None
    if found is None:
        raise UsageError(
            f"resume={path} is no checkpoint, nor a run with a valid one",
            hint="resume=auto for the newest of output_dir, null for none, "
            "or .../checkpoints/step_00001000",
        )
    return found


def _check_not_lost(own: Path) -> None:
    """A run whose checkpoints are all damaged, or gone, does not begin again in silence."""
    damaged = checkpoints_in(own)
    there = [name for name in LEFT_BY_A_RUN if own.with_name(name).exists()]
    if not damaged and not there:
        return
    problem = f"none of the {len(damaged)} checkpoints in {own} can be loaded, as said above"
    if not damaged:
        problem = f"{own.parent} has trained, as {there[0]} shows, and {own} holds no checkpoint"
    raise UsageError(
        problem,
        hint="put an undamaged one back, or give another output_dir (or resume=null) to start anew",
    )


def _check_history(own: Path, found: Path | None) -> None:
    """Newer checkpoints of a run that goes back would outlive those that it saves from now on."""
    start = Manifest.read(found).step if found is not None else -1
    newer = [path for path in checkpoints_in(own) if (step_of(path) or 0) > start]
    if newer:
        raise UsageError(
            f"{own} holds {newer[0].name}, which is newer than where this run would start",
            hint="resume=auto to go on from there, or another output_dir",
        )


@dataclass(frozen=True)
class Change:
    """A dotted key with its old and its new value."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {self.old} -> {self.new}"


def changes_since(checkpoint: Path, config: Mapping[str, Any]) -> list[Change]:
    """None where the checkpoint does not know its configuration."""
    saved = read_configuration(checkpoint)
    return [] if saved is None else changed_settings(saved, config)


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """All differences that mean something; a key comes before those that may copy it."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    # A module interpolates the groups, and longer keys the shorter ones.
    keys = sorted({*before, *after}, key=lambda key: (key[:7] == "module.", key.count("."), key))
    changes = [Change(key, before.get(key, _ABSENT), after.get(key, _ABSENT)) for key in keys]
    folders = (str(old.get("output_dir")), str(new.get("output_dir")))
    return [
        one
        for one in changes
        if one.old != one.new
        and one.key not in _OF_THE_START
        # a value that only says in which output_dir something lies
        and not (folders[0] in str(one.old) and str(one.old).replace(*folders) == str(one.new))
    ]


def without_copies(changes: Iterable[Change]) -> list[Change]:
    """One of several changes that are alike: interpolated keys follow the key that they copy."""
    first: dict[tuple[str, str, str], Change] = {}
    for one in changes:
        first.setdefault((one.key.rsplit(".", 1)[-1], str(one.old), str(one.new)), one)
    return list(first.values())


def is_of_the_model(key: str) -> bool:
    """Whether a model with another value of `key` is not the one a checkpoint holds. The folder
    that first weights came from is not: a checkpoint brings its own."""
    if key.rsplit(".", 1)[-1] == "folder":
        return False
    return any(
        f"{key}.".startswith(f"{name}.") or name.startswith(f"{key}.") for name in _OF_THE_MODEL
    )


def _leaves(value: Any, key: str = "") -> Iterable[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not value:
        yield key, list(value) if isinstance(value, tuple) else value
        return
    for name, item in value.items():
        yield from _leaves(item, f"{key}.{name}" if key else str(name))
