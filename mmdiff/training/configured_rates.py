"""Rates of an optimizer as they are configured now, whatever a checkpoint brought back."""

from collections.abc import Sequence
from typing import Any

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
    optimizer: Optimizer, schedule: LRScheduler, groups: Sequence[dict[str, Any]]
) -> None:
    """Give a resumed optimizer the settings of `groups` again, at its place in the schedule.

    A checkpoint restores the rates it was saved with, which would ignore a new `lr` in silence.
    Where nothing has changed, nothing changes, to the last bit.
    """
    for index, (group, wanted) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        group.update({name: value for name, value in wanted.items() if name != "lr"})
        base, rate = schedule.base_lrs[index], wanted["lr"]
        if base == rate:
            continue
        group["lr"] = group["lr"] / base * rate if base else rate
        group["initial_lr"] = schedule.base_lrs[index] = rate
