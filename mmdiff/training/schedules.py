"""Learning rates over a run, as factors of the optimizer's own rate.

Constructors raise ValueError for numbers of steps, and fractions, that are none.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from mmdiff.values.checks import check_fractions, check_weights


class OneCycle(LambdaLR):
    """Up from `start` over the first `warmup_fraction` of the steps, down to `final` at the last,
    both along a cosine.

    The super-convergence schedule of Smith and Topin, arXiv:1708.07120, without its cycle of the
    momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        *,
        warmup_fraction: float = 0.1,
        start: float = 0.04,
        final: float = 0.001,
    ) -> None:
        check_weights(above=True, total_steps=total_steps)
        check_fractions(warmup_fraction=warmup_fraction, start=start, final=final)
        warmup = max(1, round(warmup_fraction * total_steps))

        def factor(step: int) -> float:
            if step < warmup:
                return start + (1 - start) * _rise(step / warmup)
            return 1 + (final - 1) * _rise(min(1.0, (step - warmup) / max(1, total_steps - warmup)))

        super().__init__(optimizer, factor)


class Constant(LambdaLR):
    """Up linearly over `warmup_steps`, then constant."""

    def __init__(self, optimizer: Optimizer, *, warmup_steps: int = 0) -> None:
        check_weights(warmup_steps=warmup_steps)
        super().__init__(optimizer, lambda step: min(1.0, (step + 1) / (warmup_steps + 1)))


class WarmupDecay(LambdaLR):
    """Up linearly over `warmup_steps`, constant, then down to `final` along a line over the last
    `decay_fraction`.

    The shape of Hu et al. (MiniCPM), arXiv:2404.06395: a run can be prolonged from before its
    decay.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        *,
        warmup_steps: int = 100,
        decay_fraction: float = 0.3,
        final: float = 0.01,
    ) -> None:
        check_weights(above=True, total_steps=total_steps)
        check_weights(warmup_steps=warmup_steps)
        check_fractions(decay_fraction=decay_fraction, final=final)
        start = total_steps - max(1, round(decay_fraction * total_steps))

        def factor(step: int) -> float:
            warmup = min(1.0, (step + 1) / (warmup_steps + 1))
            done = min(1.0, max(0.0, (step - start) / (total_steps - start)))
            return warmup * (1 - (1 - final) * done)

        super().__init__(optimizer, factor)


def _rise(fraction: float) -> float:
    """From 0 to 1 along half a period of a cosine."""
    return (1 - math.cos(math.pi * fraction)) / 2


def configured_groups(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The settings of the groups of a new optimizer, before a schedule or a checkpoint changes
    them."""
    return [
        {name: value for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    ]


def walk_again(
    make_schedule: Callable[[Optimizer], LRScheduler],
    optimizer: Optimizer,
    groups: Sequence[Mapping[str, Any]],
    *,
    steps: int,
) -> LRScheduler:
    """The schedule of a resumed optimizer, both as an unbroken run of `steps` steps would have them
    that was configured as `groups` and `make_schedule` are now.

    A checkpoint holds the rates, and for most schedules the settings, that it was saved with; taken
    from there, what was changed since would be ignored in silence. Walked again, the numbers are
    the same, to the last bit, where nothing was changed.
    """
    for group, configured in zip(optimizer.param_groups, groups, strict=True):
        parameters = group["params"]
        group.clear()
        group.update(configured, params=parameters)
    schedule = make_schedule(optimizer)
    optimizer._opt_called = True  # type: ignore[attr-defined]  # or torch warns that it never stepped
    for _ in range(steps):
        schedule.step()
    return schedule
