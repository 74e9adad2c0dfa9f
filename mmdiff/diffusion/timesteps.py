"""The times of training: their densities, their shift, and how much the loss at each counts."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule
from mmdiff.diffusion.parameterization import LOG_SNR_BOUND, Parameterization, error_gain
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
    """All times are equally likely."""

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
    """Moves times towards the noise for shift > 1 (arXiv 2403.03206, eq. 23); 0 and 1 stay."""
    return shift * time / (1 + (shift - 1) * time)


class LossWeighting(ABC):
    """A factor per time on the squared error of the prediction."""

    @abstractmethod
    def weight(
        self, time: Tensor, *, schedule: NoiseSchedule, parameterization: Parameterization
    ) -> Tensor:
        """Same shape as `time`, finite everywhere."""


@dataclass(frozen=True)
class NoWeighting(LossWeighting):
    """All times count equally."""

    def weight(
        self, time: Tensor, *, schedule: NoiseSchedule, parameterization: Parameterization
    ) -> Tensor:
        return torch.ones_like(time)


@dataclass(frozen=True)
class MinSNR(LossWeighting):
    """min(SNR, gamma) on the squared error of the clean signal, whatever is predicted
    (arXiv 2303.09556, section 3.4)."""

    gamma: float = 5.0

    def weight(
        self, time: Tensor, *, schedule: NoiseSchedule, parameterization: Parameterization
    ) -> Tensor:
        snr = schedule.log_snr(time).clamp(-LOG_SNR_BOUND, LOG_SNR_BOUND).exp()
        gain = error_gain(time, schedule=schedule, parameterization=parameterization)
        return snr.clamp(max=self.gamma) / gain
