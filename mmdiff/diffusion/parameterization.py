"""What the backbone predicts, and the way from there to the clean signal and back, exactly.

With x = alpha x_0 + sigma eps and ' = d/dt:

    noise     eps
    clean     x_0
    v         alpha eps - sigma x_0       (arXiv 2202.00512)
    velocity  alpha' x_0 + sigma' eps     (eps - x_0 for the flow schedule)
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule

Parameterization = Literal["noise", "clean", "v", "velocity"]

# log(SNR) is taken within these bounds where it stands in a quotient (e^20 = 5e8).
LOG_SNR_BOUND = 20.0


def check_parameterization(parameterization: str) -> None:
    """Raises ValueError if there is no such parameterization."""
    if parameterization not in get_args(Parameterization):
        raise ValueError(
            f"parameterization is {parameterization!r}; there are "
            f"{', '.join(map(repr, get_args(Parameterization)))}. 'velocity' goes with 'flow'."
        )


def add_noise(clean: Tensor, noise: Tensor, *, time: Tensor, schedule: NoiseSchedule) -> Tensor:
    """x_t of `clean` and `noise` at `time` (broadcastable)."""
    return schedule.alpha(time) * clean + schedule.sigma(time) * noise


def to_prediction(
    clean: Tensor,
    noise: Tensor,
    *,
    time: Tensor,
    schedule: NoiseSchedule,
    parameterization: Parameterization,
) -> Tensor:
    """What a perfect backbone would say: the target of training."""
    if parameterization == "noise":
        return noise
    if parameterization == "clean":
        return clean
    if parameterization == "v":
        return schedule.alpha(time) * noise - schedule.sigma(time) * clean
    slope_of_alpha, slope_of_sigma = schedule.derivative(time)
    return slope_of_alpha * clean + slope_of_sigma * noise


def to_clean(
    prediction: Tensor,
    noisy: Tensor,
    *,
    time: Tensor,
    schedule: NoiseSchedule,
    parameterization: Parameterization,
) -> Tensor:
    """The clean signal that belongs to a prediction at `noisy`.

    From "noise" it is undetermined where alpha is 0 (flow and cosine at time 1): not finite there.
    """
    alpha, sigma = schedule.alpha(time), schedule.sigma(time)
    if parameterization == "noise":
        return (noisy - sigma * prediction) / alpha
    if parameterization == "clean":
        return prediction
    if parameterization == "v":
        return (alpha * noisy - sigma * prediction) / (alpha**2 + sigma**2)
    slope_of_alpha, slope_of_sigma = schedule.derivative(time)
    determinant = slope_of_sigma * alpha - slope_of_alpha * sigma
    return (slope_of_sigma * noisy - sigma * prediction) / determinant


def error_gain(
    time: Tensor, *, schedule: NoiseSchedule, parameterization: Parameterization
) -> Tensor:
    """Squared error of the prediction over squared error of the clean signal it stands for."""
    log_snr = schedule.log_snr(time).clamp(-LOG_SNR_BOUND, LOG_SNR_BOUND)
    if parameterization == "noise":
        return log_snr.exp()
    if parameterization == "clean":
        return torch.ones_like(log_snr)
    # alpha and sigma of the bounded ratio, so that sigma is never 0
    bounded = schedule.time_of(log_snr)
    alpha, sigma = schedule.alpha(bounded), schedule.sigma(bounded).clamp(min=1e-6)
    if parameterization == "v":
        return ((alpha**2 + sigma**2) / sigma) ** 2
    slope_of_alpha, slope_of_sigma = schedule.derivative(bounded)
    return ((slope_of_sigma * alpha - slope_of_alpha * sigma) / sigma) ** 2
