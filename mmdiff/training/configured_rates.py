"""Rates of an optimizer as they are configured now, whatever a checkpoint brought back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def configured_groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The settings of the groups of a new optimizer, before a schedule or a checkpoint changes
    them."""
    return [
        {name: value for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]


def apply_configured(
    optimizer: Optimizer,
    schedule: LRScheduler,
    groups: Sequence[Mapping[str, Any]],
    *,
    make_schedule: Callable[[Optimizer], LRScheduler],
    step: int,
) -> None:
    """Give a resumed optimizer and its schedule the settings and the place that an unbroken run of
    `step` steps would have: that of `groups` and `make_schedule`.

    A checkpoint holds the rates, and for most schedules the settings, that it was saved with; taken
    from there, what was changed since would be ignored in silence. So the schedule is walked again,
    which gives the same numbers, to the last bit, where nothing was changed.
    """
    walked = _Rates(optimizer, groups)
    fresh = make_schedule(walked)
    for _ in range(step):
        fresh.step()
    schedule.load_state_dict(fresh.state_dict())
    for group, wanted in zip(optimizer.param_groups, configured_groups(walked), strict=True):
        group.update(wanted)


class _Rates(Optimizer):
    """The groups of an optimizer without its parameters: all that a schedule looks at."""

    def __init__(self, like: Optimizer, groups: Sequence[Mapping[str, Any]]) -> None:
        empty = [{**group, "params": [nn.Parameter(torch.zeros(0))]} for group in groups]
        super().__init__(empty, like.defaults)
        for group, given in zip(self.param_groups, groups, strict=True):
            for name in group.keys() - {*given, "params"}:
                del group[name]  # a default that torch has added
        self._opt_called = True  # or the schedule warns that nothing was trained

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        raise NotImplementedError("there is nothing to train")
