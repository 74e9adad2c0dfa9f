"""Learning rates over a run, as factors of the optimizer's own rate.

Constructors raise ValueError for numbers of steps, and fractions, that are none.
"""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

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
        super().__init__(
            optimizer, lambda step: _one_cycle(step, warmup, total_steps, start, final)
        )


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


def _one_cycle(step: int, warmup: int, total: int, start: float, final: float) -> float:
    if step < warmup:
        return start + (1 - start) * _rise(step / warmup)
    return 1 + (final - 1) * _rise(min(1.0, (step - warmup) / max(1, total - warmup)))


def _rise(fraction: float) -> float:
    return (1 - math.cos(math.pi * fraction)) / 2
