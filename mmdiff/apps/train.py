"""mmdiff train: compose, write resolved.yaml, run the workers on it."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from mmdiff.apps.cli import run_verb
from mmdiff.apps.conf_tree import options_of
from mmdiff.apps.config import check_nodes, save_resolved
from mmdiff.apps.next_step import after_train, show_next
from mmdiff.apps.schema import annotations, check_arguments, shown
from mmdiff.apps.targets import allowed_for
from mmdiff.apps.terminal import announce_libraries, say
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError

MAX_SEED = 2**63 - 1
MOST_PROCESSES = 1024
VALIDATION_LOSS = "val/loss"
RANGES = {
    **{"seed": (0, MAX_SEED), "max_steps": (1, 10**9)},
    **{"max_minutes": (0, 10**7), "num_threads": (1, 4096)},
}
# Batches are frozen values, which Lightning does not convert; it converts inside of autocast only.
PRECISIONS = (None, "32-true", "bf16-mixed", "16-mixed", "32", "bf16", "16", 32, 16)
# Arguments of the trainer that `mmdiff train` gives itself: a second value would be dropped in
# silence, or take away what it builds on.
GIVEN = {
    "logger": "logger=null, logger=csv or logger=[csv,tensorboard]: the group logger",
    "callbacks": "the group callbacks: +callbacks.NAME._target_=...",
    "plugins": "the checkpoints of mmdiff are the plugin",
    "default_root_dir": "output_dir=FOLDER",
    "max_time": "max_minutes=10",
    "enable_checkpointing": "~callbacks.checkpoints trains without checkpoints",
    "barebones": "~logger and ~callbacks.NAME take away what is not wanted",
}


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """The root keys of `mmdiff train` that no component takes."""

    output_dir: FilePath
    seed: int = 0
    max_steps: int = 1000
    max_minutes: float | None = None
    resume: FilePath | None = "auto"
    ckpt_path: FilePath | None = None
    strict_resume: bool = False
    num_threads: int | None = None
    components: dict[str, FilePath | None] | None = None
    validate_only: bool = False
    lr_find: bool | Literal["use"] = False


def main(words: Sequence[str]) -> int:
    # Started by torchrun: this process is one worker of several.
    is_rank = "LOCAL_RANK" in os.environ
    action = partial(start, words=words, is_rank=is_rank)
    return run_verb("train", action, words, keys=annotations(TrainSettings))


def start(
    config: Mapping[str, Any], *, words: Sequence[str] = (), is_rank: bool = False
) -> int | float:
    """Check everything that can be checked, then train in this process or in several.

    words: of the command line, for the command that comes next.
    The last validation loss, where there was one: what a sweep makes small; else the exit code.
    """
    is_dated = not any(word.startswith(("output_dir=", "hydra.run.dir=")) for word in words)
    if is_rank and is_dated:
        raise UsageError(
            "ranks that torchrun starts cannot agree on a dated folder",
            hint="output_dir=outputs/my_run",
        )
    if config.get("module") is None:
        known = options_of("train", "experiment")
        raise UsageError(
            "nothing to train was chosen",
            possible=", ".join(f"experiment={name}" for name in known),
            hint=f"mmdiff train experiment={known[0]}",
        )
    announce_libraries()
    from mmdiff.apps.resume import find_checkpoint, run_lock
    from mmdiff.training.checkpoint_folder import sweep

    check_settings(config)
    check_nodes(config, allowed=allowed_for(config))
    count = num_processes(config["trainer"])
    if config["validate_only"]:
        return _validate(config, count)
    if is_rank and int(os.environ.get("RANK", "0")) > 0:
        return run_here(config)
    folder = Path(config["output_dir"])
    if not folder.exists():
        find_checkpoint(config)  # refuses before anything is written
    with run_lock(folder):
        sweep(folder / "checkpoints")  # of nobody else, now that the folder is ours
        find_checkpoint(config)
        resolved = save_resolved(config, folder)
        code = run_here(config) if count == 1 or is_rank else run_several(resolved, count)
    has_failed = isinstance(code, int) and code != 0
    if not has_failed and (folder / "components").is_dir() and not is_rank:
        show_next(after_train(words, config))
    return code


def check_settings(config: Mapping[str, Any]) -> None:
    """Raise UsageError where a root key has the wrong type or range, or the trainer contradicts
    it."""
    names = [field.name for field in fields(TrainSettings)]
    check_arguments(TrainSettings, {name: config[name] for name in names if name in config})
    for name, (least, most) in RANGES.items():
        value = config[name]
        if value is not None and not least <= value <= most:
            near = least if value < least else most
            problem = f"{name} is {value}; possible is {least} to {most}"
            raise UsageError(problem, nearest=f"{name}={near}")
    _check_trainer(config["trainer"], config["max_steps"])
    data, callbacks = config.get("data") or {}, config.get("callbacks") or {}
    if any(value is not None for key, value in data.items() if key.startswith("val_")):
        return
    waiting = ["validate_only"] if config["validate_only"] else []
    for name, node in callbacks.items():
        target = (node or {}).get("_target_", "")
        if not target.startswith("mmdiff.") and str(node.get("monitor")).startswith("val/"):
            waiting.append(f"callbacks.{name}")
    if waiting:
        raise UsageError(
            f"{waiting[0]} needs a validation, and no data are held out for one",
            hint="data.val_fraction=0.05",
        )


def _check_trainer(trainer: Mapping[str, Any], max_steps: int) -> None:
    twice = next((name for name in GIVEN if name in trainer), None)
    if twice is not None:
        value = shown(trainer[twice])
        problem = f"trainer.{twice}={value} is given by mmdiff train itself"
        raise UsageError(problem, hint=GIVEN[twice])
    if trainer.get("max_steps", max_steps) != max_steps:
        raise UsageError(
            f"trainer.max_steps is {trainer['max_steps']} and max_steps {max_steps}; schedules end "
            "with the latter",
            hint=f"max_steps={trainer['max_steps']}",
        )
    if trainer.get("precision") not in PRECISIONS:
        raise UsageError(
            f"trainer.precision is {trainer['precision']}; possible is 32-true, bf16-mixed or "
            "16-mixed",
            nearest="trainer.precision=32-true",
        )
    if trainer.get("num_nodes", 1) > 1 and "WORLD_SIZE" not in os.environ:
        raise UsageError(
            f"trainer.num_nodes is {trainer['num_nodes']}; possible is 1 without torchrun, which "
            "starts the processes of several machines",
            nearest="trainer.num_nodes=1",
        )


def num_processes(trainer: Mapping[str, Any]) -> int:
    """Workers on this machine: `devices` of the trainer; all GPUs where that is auto or -1."""
    devices = trainer.get("devices", 1)
    if devices in ("auto", -1, "-1"):
        import torch

        return max(1, torch.cuda.device_count()) if trainer.get("accelerator") != "cpu" else 1
    if isinstance(devices, list):
        are_gpus = all(type(one) is int and one >= 0 for one in devices)
        if are_gpus and len({*devices}) == len(devices) > 0 and trainer["accelerator"] != "cpu":
            return len(devices)
    elif str(devices).isdigit() and 1 <= int(devices) <= MOST_PROCESSES:
        return int(devices)
    raise UsageError(
        f"trainer.devices is {devices}; possible is a whole number from 1 to {MOST_PROCESSES}, "
        "auto, or a list of GPUs, from 0, each once",
        nearest="trainer.devices=1",
    )


def _validate(config: Mapping[str, Any], count: int) -> int | float:
    """Nothing of the run folder is touched, so it may go on training meanwhile."""
    from mmdiff.apps.resume import find_checkpoint

    if find_checkpoint(config) is None:
        raise UsageError(
            f"{config['output_dir']} holds no checkpoint to validate",
            hint="output_dir=FOLDER of a run, or resume=FOLDER/checkpoints/step_00001000",
        )
    if count == 1 or "LOCAL_RANK" in os.environ:
        return run_here(config)
    with TemporaryDirectory() as folder:
        return run_several(save_resolved(config, Path(folder)), count)


def run_here(config: Mapping[str, Any]) -> int | float:
    from mmdiff.apps import worker

    folder = None if config["validate_only"] else Path(config["output_dir"])
    return worker.run(config, folder).get(VALIDATION_LOSS, 0)


def run_several(resolved: Path, count: int) -> int | float:
    from mmdiff.distributed.launch import WorkerFailed, launch

    try:
        launch("mmdiff.apps.worker", resolved, num_processes=count)
    except WorkerFailed as failure:
        say(f"mmdiff train: {failure}")
        return failure.exit_code
    found = resolved.parent / "validation.json"
    return json.loads(found.read_text())[VALIDATION_LOSS] if found.is_file() else 0
