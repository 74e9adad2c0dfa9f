"""Numbers that constructors of other libraries take without a word, and that then train in the
wrong direction, do nothing, or end in a traceback.

Constructors of mmdiff check themselves; the optimizers, schedules and data among them are here as
well, since they are called late, when a run folder is written already.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmdiff.values.usage_error import UsageError


@dataclass(frozen=True)
class Range:
    """The finite numbers between two ends, each of them included or not; `also`: others that have a
    meaning, which `note` tells."""

    least: float
    most: float = math.inf
    with_least: bool = True
    with_most: bool = True
    also: tuple[float, ...] = ()
    note: str = ""

    def __contains__(self, value: float) -> bool:
        if value in self.also:
            return True
        is_over = value >= self.least if self.with_least else value > self.least
        is_under = value <= self.most if self.with_most else value < self.most
        return math.isfinite(value) and is_over and is_under

    def __str__(self) -> str:
        words = f"from {self.least:g}" if self.with_least else f"above {self.least:g}"
        if math.isfinite(self.most):
            words += f" to {self.most:g}" if self.with_most else f" and below {self.most:g}"
        else:
            words += " on" if self.with_least else ""
        return f"{words}{self.note}"


COUNT = Range(1)
NONE_OR_MORE = Range(0)
POSITIVE = Range(0, with_least=False)
FRACTION = Range(0, 1)
MOMENTUM = Range(0, 1, with_most=False)
ENDLESS = Range(1, also=(-1,), note=", or -1 for no end")

LISTS = ("betas", "max_lr")
RANGES: dict[str, dict[str, Range]] = {
    "mmdiff.data.datamodule.DataModule": {
        "val_fraction": Range(0, 1, with_least=False, with_most=False),
        "val_clips": COUNT,
    },
    "lightning.pytorch.trainer.trainer.Trainer": {
        "accumulate_grad_batches": COUNT,
        "gradient_clip_val": Range(0, note=", 0 or null for no clipping"),
        "log_every_n_steps": NONE_OR_MORE,
        "num_nodes": COUNT,
        "max_epochs": ENDLESS,
        "min_epochs": NONE_OR_MORE,
        "max_steps": ENDLESS,
        "min_steps": NONE_OR_MORE,
        "limit_train_batches": POSITIVE,
        "limit_val_batches": NONE_OR_MORE,
        "limit_test_batches": NONE_OR_MORE,
        "limit_predict_batches": NONE_OR_MORE,
        "overfit_batches": NONE_OR_MORE,
        "fast_dev_run": NONE_OR_MORE,
        "val_check_interval": POSITIVE,
        "check_val_every_n_epoch": COUNT,
        "num_sanity_val_steps": Range(0, also=(-1,), note=", or -1 for all"),
        "reload_dataloaders_every_n_epochs": NONE_OR_MORE,
    },
    "torch.optim.optimizer.Optimizer": {
        "lr": POSITIVE,
        "adamw_lr": POSITIVE,
        "weight_decay": NONE_OR_MORE,
        "betas": MOMENTUM,
        "momentum": MOMENTUM,
        "alpha": MOMENTUM,
        "dampening": FRACTION,
        "eps": POSITIVE,
        "lr_decay": NONE_OR_MORE,
        "ns_steps": Range(1, 99),
    },
    "torch.optim.lr_scheduler.LRScheduler": {
        "total_steps": COUNT,
        "warmup_fraction": FRACTION,
        "warmup_steps": NONE_OR_MORE,
        "decay_fraction": FRACTION,
        "start": FRACTION,
        "final": FRACTION,
        "T_max": COUNT,
        "T_0": COUNT,
        "T_mult": COUNT,
        "eta_min": NONE_OR_MORE,
        "step_size": COUNT,
        "gamma": POSITIVE,
        "factor": POSITIVE,
        "start_factor": POSITIVE,
        "end_factor": NONE_OR_MORE,
        "total_iters": NONE_OR_MORE,
        "max_lr": POSITIVE,
        "pct_start": FRACTION,
    },
    "diffusers.schedulers.scheduling_utils.SchedulerMixin": {
        "num_train_timesteps": Range(1, 100_000),
        "beta_start": Range(0, 1, with_least=False, with_most=False),
        "beta_end": Range(0, 1, with_least=False, with_most=False),
        "shift": POSITIVE,
        "flow_shift": POSITIVE,
        "original_inference_steps": COUNT,
        "solver_order": Range(1, 3),
        "predictor_order": Range(1, 4),
        "corrector_order": Range(1, 4),
    },
}


def check_ranges(target: object, arguments: Mapping[str, Any], *, prefix: str = "") -> None:
    """Raise UsageError for a number out of the range of its argument."""
    ranges = _ranges_of(target)
    for name, value in arguments.items():
        if name not in ranges:
            continue
        is_list = isinstance(value, (list, tuple))
        if is_list and name not in LISTS:
            raise _out_of_range(f"{prefix}{name}", value, ranges[name])
        for number in value if is_list else [value]:
            if _is_number(number) and number not in ranges[name]:
                raise _out_of_range(f"{prefix}{name}", value, ranges[name])


def _ranges_of(target: object) -> dict[str, Range]:
    found: dict[str, Range] = {}
    for base in getattr(target, "__mro__", ()):
        found |= RANGES.get(f"{base.__module__}.{base.__qualname__}", {})
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _out_of_range(key: str, value: object, legal: Range) -> UsageError:
    is_near = legal.with_least and _is_number(value) and value < legal.least  # type: ignore[operator]
    return UsageError(
        f"{key} is {value}; possible is a number {legal}",
        key=key,
        got=f"{key}={value}",
        nearest=f"{key}={legal.least:g}" if is_near else "",
    )
