"""How much the loss at each time counts."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule
from mmdiff.diffusion.parameterization import LOG_SNR_BOUND, Parameterization, error_gain


class LossWeighting(ABC):
    """A factor per time on the squared error of the prediction."""

    @abstractmethod
    def weight(
        self, time: Tensor, *, schedule: NoiseSchedule, parameterization: Parameterization
    ) -> Tensor:
        """Same shape as `time`, finite everywhere."""


@dataclass(frozen=True)
class NoWeighting(LossWeighting):
    """All times count alike."""

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
