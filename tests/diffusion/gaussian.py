"""A world of independent normal numbers, whose optimal backbone is known in closed form."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule
from mmdiff.diffusion.parameterization import Parameterization, to_prediction
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

CONTEXT = Context(torch.zeros(4, 1, 1), torch.ones(4, 1, dtype=torch.bool))
LATENTS = ClipLatents(torch.zeros(4, 1, 1, 32, 32), torch.zeros(4, 1, 32, 32))
MEANS = {"video": 1.5, "audio": -0.7}
DEVIATIONS = {"video": 0.5, "audio": 1.3}


@dataclass(frozen=True)
class GaussianBackbone:
    """x_0 is normal: E[x_0 | x_t] and E[eps | x_t] are linear in x_t."""

    schedule: NoiseSchedule
    parameterization: Parameterization

    def __call__(
        self, latents: ClipLatents, time: ClipLatents, context: Context, *, ablation: None = None
    ) -> ClipLatents:
        halves = {name: self._predict(name, latents, time) for name in latents.modalities}
        return ClipLatents.of(halves)

    def _predict(self, name: str, latents: ClipLatents, time: ClipLatents) -> Tensor:
        noisy, level = getattr(latents, name), getattr(time, name)
        alpha, sigma = self.schedule.alpha(level), self.schedule.sigma(level)
        variance = DEVIATIONS[name] ** 2
        surprise = (noisy - alpha * MEANS[name]) / (alpha**2 * variance + sigma**2)
        return to_prediction(
            MEANS[name] + alpha * variance * surprise,
            sigma * surprise,
            time=level,
            schedule=self.schedule,
            parameterization=self.parameterization,
        )
