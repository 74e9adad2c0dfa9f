"""Which times a training step visits: densities on [0, 1] as quantile functions, and the shift."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.values.checks import check_weights

# Uniform numbers are kept this far from 0 and 1, where quantiles are infinite.
MARGIN = 1e-6


class TimeDensity(ABC):
    """A density of times, given by its quantile function."""

    @abstractmethod
    def time(self, uniform: Tensor) -> Tensor:
        """The time below which the part `uniform` in [0, 1) of all times lies."""


@dataclass(frozen=True)
class UniformDensity(TimeDensity):
    """All times alike."""

    def time(self, uniform: Tensor) -> Tensor:
        return uniform.clamp(MARGIN, 1 - MARGIN)


@dataclass(frozen=True)
class LogitNormalDensity(TimeDensity):
    """logit(t) is normal: more of the middle times (arXiv 2403.03206, eq. 19)."""

    mean: float = 0.0
    standard_deviation: float = 1.0

    def __post_init__(self) -> None:
        check_weights(above=True, standard_deviation=self.standard_deviation)

    def time(self, uniform: Tensor) -> Tensor:
        normal = torch.special.ndtri(uniform.clamp(MARGIN, 1 - MARGIN))
        return torch.sigmoid(self.mean + self.standard_deviation * normal)


def shift_time(time: Tensor, shift: float) -> Tensor:
    """Moves times towards the noise for shift > 1 (arXiv 2403.03206, eq. 23); 0 and 1 stay.

    Raises ValueError unless shift > 0.
    """
    if not shift > 0:
        raise ValueError(
            f"shift is {shift}; it must be above 0, and 1 leaves the times as they are"
        )
    return shift * time / (1 + (shift - 1) * time)
