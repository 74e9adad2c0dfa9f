"""mmdiff train: compose, write resolved.yaml, run the workers on it."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmdiff.apps.compose import check_nodes, save_resolved
from mmdiff.apps.known_keys import options_of
from mmdiff.apps.next_step import after_train, show_next
from mmdiff.apps.run import run_verb
from mmdiff.apps.run_lock import run_lock
from mmdiff.apps.terminal import announce_libraries
from mmdiff.apps.train_settings import TrainSettings, check_train_settings, check_trainer
from mmdiff.apps.usage_error import UsageError

READER = TrainSettings
MOST_PROCESSES = 1024


def main(words: Sequence[str]) -> int:
    # Started by torchrun: this process is one worker of several.
    is_rank = "LOCAL_RANK" in os.environ
    is_dated = not any(word.startswith(("output_dir=", "hydra.run.dir=")) for word in words)
    action = partial(start, is_rank=is_rank, is_dated=is_dated, words=words)
    return run_verb("train", action, words)


def start(
    config: Mapping[str, Any],
    *,
    is_rank: bool = False,
    is_dated: bool = False,
    words: Sequence[str] = (),
) -> int:
    """Check everything that can be checked, then train in this process or in several.

    words: of the command line, for the command that comes next.
    """
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

    check_train_settings(config)
    check_nodes(config)
    check_trainer(config)
    count = num_processes(config.get("trainer") or {})
    find_checkpoint(config)  # refuses before anything is written
    if is_rank and int(os.environ.get("RANK", "0")) > 0:
        return run_here(config)
    folder = Path(config["output_dir"])
    with run_lock(folder):
        resolved = save_resolved(config, folder)
        code = run_here(config) if count == 1 or is_rank else run_several(resolved, count)
    if code == 0 and (folder / "components").is_dir():
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


def run_here(config: Mapping[str, Any]) -> int:
    from mmdiff.apps import worker

    worker.train(config)
    return 0


def run_several(resolved: Path, count: int) -> int:
    from rich.console import Console

    from mmdiff.distributed.launch import WorkerFailed, launch

    try:
        launch("mmdiff.apps.worker", resolved, num_processes=count)
    except WorkerFailed as failure:
        message = f"mmdiff train: {failure}"
        Console(stderr=True, soft_wrap=True).print(message, markup=False, highlight=False)
        return failure.exit_code
    return 0
