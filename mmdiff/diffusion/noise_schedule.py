"""How much signal and how much noise there is at each time: x_t = alpha(t) x_0 + sigma(t) eps."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

# Where d sigma / dt is infinite at t = 0, it is taken here instead.
EARLIEST_TIME_OF_SLOPE = 1e-5


class NoiseSchedule(ABC):
    """Signal and noise level over time t in [0, 1]; 0 is clean, 1 the noisiest there is.

    All functions are elementwise, of any shape, in the dtype they are given.
    """

    @abstractmethod
    def alpha(self, time: Tensor) -> Tensor:
        """Factor of the clean signal, 1 at t = 0."""

    @abstractmethod
    def sigma(self, time: Tensor) -> Tensor:
        """Factor of the noise, 0 at t = 0."""

    @abstractmethod
    def time_of(self, log_snr: Tensor) -> Tensor:
        """The time in [0, 1] where log(alpha^2 / sigma^2) is `log_snr`, or the nearest there is."""

    @abstractmethod
    def derivative(self, time: Tensor) -> tuple[Tensor, Tensor]:
        """(d alpha / dt, d sigma / dt), finite everywhere."""

    def log_snr(self, time: Tensor) -> Tensor:
        """log(alpha^2 / sigma^2): +inf where there is no noise, -inf where there is no signal."""
        return 2 * (self.alpha(time).log() - self.sigma(time).log())


@dataclass(frozen=True)
class Flow(NoiseSchedule):
    """The straight line between data and noise (rectified flow, arXiv 2209.03003)."""

    def alpha(self, time: Tensor) -> Tensor:
        return 1 - time

    def sigma(self, time: Tensor) -> Tensor:
        return time

    def time_of(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr / 2)

    def derivative(self, time: Tensor) -> tuple[Tensor, Tensor]:
        return -torch.ones_like(time), torch.ones_like(time)


@dataclass(frozen=True)
class Cosine(NoiseSchedule):
    """alpha^2 = cos^2(angle(t)) / cos^2(angle(0)), sigma^2 = 1 - alpha^2 (arXiv 2102.09672, 17).

    offset: s of that paper, which keeps the first steps from being too small (there 0.008); with 0
        alpha and sigma are the cosine and the sine of pi t / 2.
    """

    offset: float = 0.0

    @property
    def first_angle(self) -> float:
        return math.pi / 2 * self.offset / (1 + self.offset)

    def alpha(self, time: Tensor) -> Tensor:
        # cos(angle(t)) written as a sine, so that it is exactly 0 at t = 1
        quarter = math.pi / 2 / (1 + self.offset)
        return torch.sin(quarter * (1 - time)) / math.cos(self.first_angle)

    def sigma(self, time: Tensor) -> Tensor:
        # 1 - cos^2(b) / cos^2(a) = sin(b - a) sin(b + a) / cos^2(a), without cancellation
        turned = math.pi / 2 / (1 + self.offset) * time
        product = torch.sin(turned) * torch.sin(turned + 2 * self.first_angle)
        return product.sqrt() / math.cos(self.first_angle)

    def time_of(self, log_snr: Tensor) -> Tensor:
        first = self.first_angle
        tangent = (torch.exp(-log_snr) + math.sin(first) ** 2).sqrt() / math.cos(first)
        angle = torch.atan(tangent)
        return ((angle - first) / (math.pi / 2 - first)).clamp(0, 1)

    def derivative(self, time: Tensor) -> tuple[Tensor, Tensor]:
        if self.offset:
            time = time.clamp(min=EARLIEST_TIME_OF_SLOPE)
        quarter = math.pi / 2 / (1 + self.offset)
        slope_of_alpha = -quarter * torch.cos(quarter * (1 - time)) / math.cos(self.first_angle)
        if not self.offset:
            return slope_of_alpha, quarter * torch.cos(quarter * time)
        return slope_of_alpha, -self.alpha(time) * slope_of_alpha / self.sigma(time)


@dataclass(frozen=True)
class Linear(NoiseSchedule):
    """The linear betas of DDPM in continuous time: alpha^2 = exp(-B(t)), sigma^2 = 1 - alpha^2,
    B(t) = first_beta t + (last_beta - first_beta) t^2 / 2 (arXiv 2011.13456, eq. 33).

    It does not end in pure noise: alpha(1) is 0.0066.
    """

    first_beta: float = 0.1
    last_beta: float = 20.0

    def _integral(self, time: Tensor) -> Tensor:
        return (self.first_beta + (self.last_beta - self.first_beta) / 2 * time) * time

    def alpha(self, time: Tensor) -> Tensor:
        return torch.exp(-self._integral(time) / 2)

    def sigma(self, time: Tensor) -> Tensor:
        return (-torch.expm1(-self._integral(time))).sqrt()

    def time_of(self, log_snr: Tensor) -> Tensor:
        integral = torch.nn.functional.softplus(-log_snr)
        slope = self.last_beta - self.first_beta
        root = (self.first_beta**2 + 2 * slope * integral).sqrt()
        time = 2 * integral / (self.first_beta + root)
        return torch.where(integral.isinf(), torch.ones_like(time), time).clamp(0, 1)

    def derivative(self, time: Tensor) -> tuple[Tensor, Tensor]:
        time = time.clamp(min=EARLIEST_TIME_OF_SLOPE)
        beta = self.first_beta + (self.last_beta - self.first_beta) * time
        alpha = self.alpha(time)
        return -beta / 2 * alpha, beta / 2 * alpha**2 / self.sigma(time)


def named_noise_schedule(name: str) -> NoiseSchedule:
    """The schedule called `name` with its usual settings.

    Raises ValueError for an unknown name.
    """
    schedules: dict[str, type[NoiseSchedule]] = {"flow": Flow, "cosine": Cosine, "linear": Linear}
    if name not in schedules:
        raise ValueError(
            f"noise_schedule is {name!r}; there are {', '.join(map(repr, schedules))}. "
            "'flow' is what mmdiff trains with by default."
        )
    return schedules[name]()
