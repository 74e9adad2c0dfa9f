"""Faults in the real code, from outside: a function of it, found by its name, is wrapped for one
test, or in one forked child, so that it fails, dawdles or is killed at a chosen passage."""

import errno
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import wraps
from pkgutil import resolve_name
from typing import Any

import pytest


class InjectedError(RuntimeError):
    """What the action `raise` raises."""


@dataclass(frozen=True)
class Fault:
    """What a call of `function` meets whose arguments name a path that fits `path`, a pattern.

    action: kill (SIGKILL to this process), raise, slow, or the name of an error of the system
    hit: at this passage only, from 1; None: at each
    after: once the function has done its work, instead of before
    """

    action: str
    function: str
    path: str = "*"
    hit: int | None = None
    after: bool = False
    seconds: float = 0.004

    def strike(self) -> None:
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise InjectedError(f"planned at {self.function}")
            case "slow":
                time.sleep(self.seconds)
            case _:
                number = getattr(errno, self.action)
                raise OSError(number, os.strerror(number), self.function)


def inject(faults: Sequence[Fault], patch: pytest.MonkeyPatch) -> None:
    """Until `patch` is undone."""
    for fault in faults:
        owner_name, _, name = fault.function.rpartition(".")
        owner = resolve_name(owner_name)
        patch.setattr(owner, name, _wrapped(getattr(owner, name), fault))


def _wrapped(function: Callable[..., Any], fault: Fault) -> Callable[..., Any]:
    passages = 0

    @wraps(function)
    def wrapper(*arguments: Any, **settings: Any) -> Any:
        nonlocal passages
        is_due = any(fnmatchcase(path, fault.path) for path in _paths(arguments))
        passages += is_due
        is_due = is_due and fault.hit in (None, passages)
        if is_due and not fault.after:
            fault.strike()
        result = function(*arguments, **settings)
        if is_due and fault.after:
            fault.strike()
        return result

    return wrapper


def _paths(arguments: Sequence[Any]) -> list[str]:
    """Those among the arguments of a call; of an open file too."""
    return [
        os.readlink(f"/proc/self/fd/{one}") if isinstance(one, int) else os.fspath(one)
        for one in arguments
        if isinstance(one, (int, str, os.PathLike)) and not isinstance(one, bool)
    ]


SAVE = "mmdiff.training.checkpoint_folder.save_file"
POINTS = {
    "write": Fault("kill", SAVE),
    "written": Fault("kill", SAVE, after=True),
    "state": Fault("kill", "pathlib.Path.write_text", "*.tmp/state.json"),
    "flush": Fault("kill", "os.fsync"),
    "manifest": Fault("kill", "pathlib.Path.write_text", "*.tmp/manifest.json"),
    "publish": Fault("kill", "mmdiff.training.checkpoint_folder.share"),
    "replace": Fault("kill", "os.replace", "*.tmp"),
    "published": Fault("kill", "os.replace", "*.tmp", after=True),
}
"""Of the writing of a checkpoint, in their order."""


def at(point: str, action: str, *, step: int | None = None, hit: int | None = None) -> Fault:
    """A fault at a point of the writing of the checkpoint of `step`, or of any."""
    fault = POINTS[point]
    path = fault.path if step is None else f"*step_{step:08d}{fault.path}"
    return replace(fault, action=action, path=path, hit=hit)


def slow_writer(seconds: float) -> list[Fault]:
    return [replace(fault, action="slow", seconds=seconds) for fault in POINTS.values()]
