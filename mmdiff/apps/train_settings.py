"""The root keys of `mmdiff train` that no component takes: their types and ranges; and what of
Lightning's trainer they decide."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from mmdiff.apps.signature import check_arguments, shown
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError

MAX_SEED = 2**63 - 1
# Batches are frozen values, which Lightning does not convert; it converts inside of autocast only.
PRECISIONS = (None, "32-true", "bf16-mixed", "16-mixed", "32", "bf16", "16", 32, 16)
# Arguments of the trainer that `mmdiff train` gives itself: a second value would be dropped in
# silence, or take away what it builds on.
GIVEN = {
    "logger": "logger=null, logger=csv or logger=[csv,tensorboard]: the group logger",
    "callbacks": "the group callbacks: +callbacks.NAME._target_=...",
    "plugins": "the checkpoints of mmdiff are the plugin",
    "default_root_dir": "output_dir",
    "max_time": "max_minutes",
    "enable_checkpointing": "~callbacks.checkpoints trains without checkpoints",
    "barebones": "~logger and ~callbacks.NAME take away what is not wanted",
}


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What the process that trains reads itself.

    Raises UsageError for a number out of range.
    """

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

    def __post_init__(self) -> None:
        _check_range("seed", self.seed, 0, MAX_SEED)
        _check_range("max_steps", self.max_steps, 1, 10**9)
        _check_range("max_minutes", self.max_minutes, 0, 10**7)
        _check_range("num_threads", self.num_threads, 1, 4096)


def check_train_settings(config: Mapping[str, Any]) -> None:
    """Raise UsageError where a root key of a training run has the wrong type or range."""
    names = [field.name for field in fields(TrainSettings)]
    given = {name: config[name] for name in names if name in config}
    check_arguments(TrainSettings, given)
    TrainSettings(**given)
    _check_validation(config)


def _check_validation(config: Mapping[str, Any]) -> None:
    """UsageError where something waits for a validation, and there is nothing to validate on."""
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
            key=waiting[0],
            cure="data.val_fraction=0.05",
        )


def check_trainer(config: Mapping[str, Any]) -> None:
    """Raise UsageError where the trainer contradicts the root keys, or this machine."""
    trainer = config.get("trainer") or {}
    for name, instead in GIVEN.items():
        if name in trainer:
            raise UsageError(
                f"trainer.{name} is given by mmdiff train itself",
                got=f"trainer.{name}={shown(trainer[name])}",
                cure=instead,
            )
    if trainer.get("max_steps", config["max_steps"]) != config["max_steps"]:
        raise UsageError(
            f"trainer.max_steps is {trainer['max_steps']} and max_steps {config['max_steps']}; "
            "schedules end with the latter",
            key="max_steps",
            got=f"trainer.max_steps={trainer['max_steps']}",
            cure=f"max_steps={trainer['max_steps']}",
        )
    if trainer.get("precision") not in PRECISIONS:
        raise _not_possible(trainer, "precision", "32-true, bf16-mixed or 16-mixed", "32-true")
    if trainer.get("gradient_clip_algorithm") not in (None, "norm", "value"):
        words = "norm (of all gradients together) or value"
        raise _not_possible(trainer, "gradient_clip_algorithm", words, "norm")
    if trainer.get("num_nodes", 1) > 1 and "WORLD_SIZE" not in os.environ:
        words = "1 without torchrun, which starts the processes of several machines"
        raise _not_possible(trainer, "num_nodes", words, "1")
    _check_accelerator(trainer.get("accelerator", "auto"))


def _check_accelerator(name: object) -> None:
    import torch

    there = torch.accelerator.current_accelerator(check_available=True)
    kind = "cpu" if there is None else there.type
    possible = ["auto", "cpu", *([kind] if there else []), *(["gpu"] if kind != "cpu" else [])]
    if name not in possible:
        words = f"{' or '.join(possible)} on this machine"
        raise _not_possible({"accelerator": name}, "accelerator", words, "auto")


def _not_possible(trainer: Mapping[str, Any], name: str, possible: str, nearest: str) -> UsageError:
    return UsageError(
        f"trainer.{name} is {trainer[name]}; possible is {possible}",
        key=f"trainer.{name}",
        got=f"trainer.{name}={trainer[name]}",
        nearest=f"trainer.{name}={nearest}",
    )


def _check_range(name: str, value: float | None, least: int, most: int) -> None:
    if value is None or least <= value <= most:
        return
    raise UsageError(
        f"{name} is {value}; possible is {least} to {most}",
        key=name,
        got=f"{name}={value}",
        nearest=f"{name}={least if not value >= least else most}",
    )
