"""mmdiff train: compose, write resolved.yaml, run the workers on it."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmdiff.apps.compose import check_nodes, save_resolved
from mmdiff.apps.known_keys import options_of
from mmdiff.apps.next_step import after_train, show_next
from mmdiff.apps.run import run_verb
from mmdiff.apps.run_lock import run_lock
from mmdiff.apps.terminal import announce_libraries
from mmdiff.apps.train_settings import TrainSettings, check_train_settings, check_trainer
from mmdiff.values.usage_error import UsageError

READER = TrainSettings
MOST_PROCESSES = 1024
VALIDATION_LOSS = "val/loss"


def main(words: Sequence[str]) -> int:
    # Started by torchrun: this process is one worker of several.
    is_rank = "LOCAL_RANK" in os.environ
    return run_verb("train", partial(start, words=words, is_rank=is_rank), words)


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
            key="output_dir",
            cure="output_dir=outputs/my_run",
        )
    if config.get("module") is None:
        known = options_of("train", "experiment")
        raise UsageError(
            "nothing to train was chosen",
            belongs=f"conf/experiment/: {', '.join(known)}",
            cure=f"mmdiff train experiment={known[0] if known else '...'}",
        )
    announce_libraries()
    from mmdiff.apps.resume import find_checkpoint
    from mmdiff.training.checkpoint_folder import sweep

    check_train_settings(config)
    check_nodes(config)
    check_trainer(config)
    count = num_processes(config.get("trainer") or {})
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


def num_processes(trainer: Mapping[str, Any]) -> int:
    """Workers on this machine: `devices` of the trainer; all GPUs where that is auto or -1."""
    devices = trainer.get("devices", 1)
    if isinstance(devices, list):
        return _listed_devices(devices, trainer)
    if devices in ("auto", -1, "-1"):
        import torch

        return max(1, torch.cuda.device_count()) if trainer.get("accelerator") != "cpu" else 1
    if not str(devices).isdigit() or not 1 <= int(devices) <= MOST_PROCESSES:
        raise UsageError(
            f"trainer.devices is {devices}; possible is a whole number from 1 to {MOST_PROCESSES}, "
            "or auto",
            key="trainer.devices",
            got=f"trainer.devices={devices}",
            nearest="trainer.devices=1",
        )
    return int(devices)


def _listed_devices(devices: list[Any], trainer: Mapping[str, Any]) -> int:
    are_numbers = all(type(one) is int and one >= 0 for one in devices)
    if not devices or not are_numbers or len(set(devices)) < len(devices):
        problem = (
            f"trainer.devices is {devices}; a list holds the numbers of GPUs, from 0, each once"
        )
    elif trainer.get("accelerator") == "cpu":
        problem = f"trainer.devices is {devices}, and trainer.accelerator cpu; a list is of GPUs"
    else:
        return len(devices)
    raise UsageError(
        problem,
        key="trainer.devices",
        got=f"trainer.devices={devices}",
        nearest=f"trainer.devices={max(1, len(devices))}",
    )


def _validate(config: Mapping[str, Any], count: int) -> int | float:
    """Nothing of the run folder is touched, so it may go on training meanwhile."""
    from mmdiff.apps.resume import find_checkpoint

    if find_checkpoint(config) is None:
        raise UsageError(
            f"{config['output_dir']} holds no checkpoint to validate",
            key="validate_only",
            cure="output_dir=FOLDER of a run, or resume=FOLDER/checkpoints/step_00001000",
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
    from rich.console import Console

    from mmdiff.distributed.launch import WorkerFailed, launch

    try:
        launch("mmdiff.apps.worker", resolved, num_processes=count)
    except WorkerFailed as failure:
        message = f"mmdiff train: {failure}"
        Console(stderr=True, soft_wrap=True).print(message, markup=False, highlight=False)
        return failure.exit_code
    found = resolved.parent / "validation.json"
    return json.loads(found.read_text())[VALIDATION_LOSS] if found.is_file() else 0
