"""Adaptive projected guidance (APG): guidance at high scales without oversaturation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.guidance.guider import Term
from mmdiff.guidance.moment import Moment
from mmdiff.guidance.text_guider import TextGuider


@dataclass(frozen=True)
class Projected(TextGuider):
    """x + (s - 1) d, where d is x - x_weak, damped along x (arXiv 2410.02416, algorithm 1).

    eta: how much of the part of d parallel to x is kept; that part raises saturation.
    norm_threshold: longest d per sample; 0 leaves it as it is.
    momentum: of the differences of the calls before; negative pushes away from them, 0 is none.
    With eta 1, norm_threshold 0 and momentum 0 it is classifier-free guidance.
    """

    eta: float = 0.0
    norm_threshold: float = 15.0
    momentum: float = -0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm_threshold < 0:
            raise ValueError(f"norm_threshold is {self.norm_threshold}; it is a length, 0 for none")
        if not -1 < self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; it must be between -1 and 1")

    def term(self, strong: Tensor, weak: Tensor, *, weight: Tensor, moment: Moment) -> Term:
        difference = strong - weak
        if moment.memory is not None:
            difference = difference + self.momentum * moment.memory
        return Term(weight * self._damped(difference, strong), memory=difference)

    def _damped(self, difference: Tensor, strong: Tensor) -> Tensor:
        dims = tuple(range(1, strong.ndim))
        if self.norm_threshold > 0:
            length = torch.linalg.vector_norm(difference, dim=dims, keepdim=True).clamp(min=1e-12)
            difference = difference * (self.norm_threshold / length).clamp(max=1)
        along = torch.linalg.vector_norm(strong, dim=dims, keepdim=True).clamp(min=1e-12)
        direction = strong / along
        parallel = (difference * direction).sum(dims, keepdim=True) * direction
        return difference - (1 - self.eta) * parallel
