"""The root keys of `mmdiff train` that no component takes: their types and ranges."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from mmdiff.apps.signature import check_arguments
from mmdiff.apps.usage_error import UsageError

MAX_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What the process that trains reads itself.

    Raises UsageError for a number out of range.
    """

    output_dir: str
    seed: int = 0
    max_steps: int = 1000
    max_minutes: float | None = None
    resume: str | None = "auto"
    ckpt_path: str | None = None
    strict_resume: bool = False
    num_threads: int | None = None
    components: dict[str, str | None] | None = None

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


def _check_range(name: str, value: float | None, least: int, most: int) -> None:
    if value is None or least <= value <= most:
        return
    raise UsageError(
        f"{name} is {value}; possible is {least} to {most}",
        key=name,
        got=f"{name}={value}",
        nearest=f"{name}={least if not value >= least else most}",
    )
