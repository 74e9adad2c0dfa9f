"""Faults at named points of the real code, planned for tests in the environment variable
MMDIFF_FAULTS and nowhere else.

    MMDIFF_FAULTS="kill checkpoint.manifest step=20 rank=1; nan train.loss.audio step=3"

A fault is an action, a point (with `*` for several) and where it strikes; `;` parts the faults.

    kill     SIGKILL to this process            step=N     at this step only
    raise    InjectedFault                      rank=N     on this rank only
    hang     sleep for a day                    hit=N      at the Nth passage only, from 1
    slow     sleep `seconds`                    seconds=X  of slow, 0.01 unless given
    enospc   OSError, no space left on device; also eio, estale
    nan      NaN in place of a tensor
"""

import errno
import logging
import math
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, cast, get_args

from torch import Tensor

VARIABLE = "MMDIFF_FAULTS"
Action = Literal["kill", "raise", "hang", "slow", "enospc", "eio", "estale", "nan"]
_HANG_SECONDS = 86_400
_log = logging.getLogger(__name__)


class InjectedFault(RuntimeError):  # noqa: N818
    """What the action `raise` raises."""


@dataclass(frozen=True)
class Fault:
    """One planned fault; None: at every step, on every rank, at every passage."""

    action: Action
    point: str
    step: int | None = None
    rank: int | None = None
    hit: int | None = None
    seconds: float = 0.01


@dataclass
class FaultPlan:
    """The faults of this process, and how often it has passed the point of each."""

    faults: tuple[Fault, ...]
    rank: int = 0
    passages: Counter[Fault] = field(default_factory=Counter)

    @classmethod
    def parse(cls, text: str, *, rank: int = 0) -> "FaultPlan":
        """ValueError names the part of `text` that is no fault, and what is possible."""
        faults = [_fault(part) for part in text.split(";") if part.strip()]
        return cls(tuple(faults), rank)

    def strike(self, name: str, step: int | None) -> bool:
        """Do what is planned for this passage of point `name`; whether NaN is."""
        is_nan = False
        for fault in self.faults:
            if self._is_due(fault, name, step):
                _log.warning("injecting a fault at %s, step %s: %s", name, step, fault)
                is_nan |= fault.action == "nan"
                _act(fault, name)
        return is_nan

    def _is_due(self, fault: Fault, name: str, step: int | None) -> bool:
        if fault.rank not in (None, self.rank) or fault.step not in (None, step):
            return False
        if not fnmatchcase(name, fault.point):
            return False
        self.passages[fault] += 1
        return fault.hit in (None, self.passages[fault])


def fault_point(name: str, step: int | None = None) -> None:
    """A place where a test may plan a fault; costs nothing worth measuring when none is."""
    if _plan is not None and _plan.strike(name, step):
        raise ValueError(f"the point {name} carries no tensor that could become NaN")


def spoiled(value: Tensor, name: str, step: int | None = None) -> Tensor:
    """`value`, or NaN of its shape where that is planned; a `fault_point` in all else."""
    if _plan is not None and _plan.strike(name, step):
        return value * math.nan
    return value


def load_fault_plan() -> None:
    """Read MMDIFF_FAULTS again: a test that changes it in a running process calls this."""
    global _plan
    text = os.environ.get(VARIABLE, "")
    _plan = FaultPlan.parse(text, rank=int(os.environ.get("RANK", 0))) if text.strip() else None


def _fault(text: str) -> Fault:
    action, point, *settings = text.split() + [""] * (2 - len(text.split()))
    if action not in get_args(Action) or not point:
        raise ValueError(
            f"{VARIABLE} has {text.strip()!r}; a fault is one of {', '.join(get_args(Action))} "
            "and a point, for instance: kill checkpoint.manifest step=20"
        )
    try:
        pairs = dict(setting.split("=") for setting in settings)
        seconds = float(pairs.pop("seconds", 0.01))
        numbers = {name: int(value) for name, value in pairs.items()}
        return Fault(cast(Action, action), point, seconds=seconds, **numbers)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{VARIABLE} has {text.strip()!r}; after the point come step=N, rank=N, hit=N "
            f"and seconds=X ({error})"
        ) from error


def _act(fault: Fault, name: str) -> None:
    match fault.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise InjectedFault(f"planned at {name}")
        case "hang":
            time.sleep(_HANG_SECONDS)
        case "slow":
            time.sleep(fault.seconds)
        case "enospc" | "eio" | "estale":
            number = getattr(errno, fault.action.upper())
            raise OSError(number, os.strerror(number), name)
        case "nan":
            pass  # what carries the tensor does it


_plan: FaultPlan | None = None
load_fault_plan()
