"""Exponential moving average of weights, as a frozen submodule: it is saved, moved and sharded like
any other."""

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import nn

Averaged = TypeVar("Averaged", bound=nn.Module)


class AveragedWeights(nn.Module, Generic[Averaged]):
    """A frozen copy of `module` that follows it.

    The decay is min(decay, (1 + step) / (10 + step)), so that the first steps are forgotten soon.
    """

    def __init__(self, module: Averaged, decay: float) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(
                f"the decay of the average is {decay}; it must be at least 0 and below 1"
            )
        self.decay = decay
        self.average: Averaged = deepcopy(module).requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move towards the weights of `module` after optimizer step number `step`; buffers are
        copied."""
        decay = min(self.decay, (1 + step) / (10 + step))
        # one call for all: of small models, a call for each weight would cost more than its sum
        torch._foreach_lerp_(list(self.average.parameters()), list(module.parameters()), 1 - decay)
        for ours, theirs in zip(self.average.buffers(), module.buffers(), strict=True):
            ours.copy_(theirs)
