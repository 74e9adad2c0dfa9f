"""Where a run goes on: the checkpoint it is resumed from, and whether it may be."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdiff.apps.changed_settings import Change, changed_settings, is_of_the_model, without_copies
from mmdiff.training.checkpoint_folder import (
    checkpoints_in,
    latest_checkpoint,
    read_configuration,
)
from mmdiff.training.manifest import Manifest, step_of
from mmdiff.values.usage_error import UsageError

_log = logging.getLogger(__name__)
LEFT_BY_A_RUN = ("checkpoints.json", "components")  # once it has saved, or ended


def find_checkpoint(config: Mapping[str, Any]) -> Path | None:
    """The checkpoint that `resume` means, or None to start anew.

    auto (or `ckpt_path=last`): the newest valid one of the run, if any; best: the one with the best
    validation; null: none; or the path of a checkpoint or of a run.

    Raises UsageError for a path without a checkpoint, for a run whose checkpoints are all damaged
    or whose model has other settings
    than the checkpoint's, and for one that would leave two histories in one folder.
    """
    asked = config["resume"] if config.get("ckpt_path") is None else config["ckpt_path"]
    own = Path(config["output_dir"]) / "checkpoints"
    is_strict = bool(config["strict_resume"])
    if asked in ("auto", "last"):
        found = latest_checkpoint(own, strict=is_strict) if own.is_dir() else None
        _check_not_lost(own, found)
    else:
        path = _best_of(own) if asked == "best" else asked
        found = None if path is None else _checkpoint_at(Path(path), strict=is_strict)
        if not config.get("validate_only"):
            _check_history(own, found)
    if found is not None:
        _check_same_model(found, config)
    return found


def tell_changes(checkpoint: Path, config: Mapping[str, Any]) -> None:
    """Log what is configured otherwise than when `checkpoint` was saved."""
    for change in without_copies(_changes(checkpoint, config)):
        _log.info("changed since %s: %s", checkpoint.name, change)


def tell_nothing_left(checkpoint: Path, config: Mapping[str, Any]) -> None:
    """Log that no step is left to train, where that is so."""
    step, most = Manifest.read(checkpoint).step, config["max_steps"]
    if step >= most:
        _log.warning(
            "nothing is left to train: %s stands at step %d, and max_steps is %d; give a larger "
            "max_steps to go on",
            checkpoint,
            step,
            most,
        )


def _check_same_model(checkpoint: Path, config: Mapping[str, Any]) -> None:
    changes = _changes(checkpoint, config)
    refused = without_copies(change for change in changes if is_of_the_model(change.key))
    if refused:
        raise UsageError(
            f"{checkpoint} is of another model: {'; '.join(map(str, refused))}",
            key=refused[0].key,
            cure="give these keys their old values, or another output_dir to start anew",
        )


def _changes(checkpoint: Path, config: Mapping[str, Any]) -> list[Change]:
    saved = read_configuration(checkpoint)
    return [] if saved is None else changed_settings(saved, config)


def _best_of(own: Path) -> Path:
    record = own.with_name(f"{own.name}.json")
    best = json.loads(record.read_text()).get("best") if record.is_file() else None
    if best is None:
        raise UsageError(
            f"{own.parent} has no best checkpoint: it has not validated",
            key="resume",
            cure="resume=auto for the newest one; data.val_fraction=0.05 validates while training",
        )
    return own / str(best)


def _checkpoint_at(path: Path, *, strict: bool) -> Path:
    if (path / "manifest.json").is_file():
        return path
    folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
    found = latest_checkpoint(folder, strict=strict) if folder.is_dir() else None
    if found is None:
        raise UsageError(
            f"{path} is no checkpoint, nor a run with a valid one",
            key="resume",
            got=f"resume={path}",
            cure="resume=auto for the newest of output_dir, null for none, "
            "or .../checkpoints/step_00001000",
        )
    return found


def _check_not_lost(own: Path, found: Path | None) -> None:
    """A run whose checkpoints are all damaged, or gone, does not begin again in silence."""
    if found is not None:
        return
    damaged, trained = checkpoints_in(own), [own.with_name(name) for name in LEFT_BY_A_RUN]
    there = [path.name for path in trained if path.exists()]
    if damaged:
        problem = f"none of the {len(damaged)} checkpoints in {own} can be loaded, as said above"
    elif there:
        problem = f"{own.parent} has trained, as {there[0]} shows, and {own} holds no checkpoint"
    else:
        return
    raise UsageError(
        problem,
        key="resume",
        cure="put an undamaged one back, or give another output_dir (or resume=null) to start anew",
    )


def _check_history(own: Path, found: Path | None) -> None:
    """Newer checkpoints of a run that goes back would outlive those that it saves from now on."""
    start = Manifest.read(found).step if found is not None else -1
    newer = [path for path in checkpoints_in(own) if (step_of(path) or 0) > start]
    if newer:
        raise UsageError(
            f"{own} holds {newer[0].name}, which is newer than where this run would start",
            key="resume",
            cure="resume=auto to go on from there, or another output_dir",
        )
