"""Moment: where one half of the clip is in the run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule


@dataclass(frozen=True)
class Moment:
    """One call of the run, on the straight line between data and noise (arXiv 2209.03003).

    Every schedule runs along that line once its latents are divided by alpha + sigma:
    x_t / (alpha + sigma) = (1 - s) x_0 + s eps with s = sigma / (alpha + sigma).

    call     0 is the first of the run
    on_line  the latents, so divided
    time     s of each token, broadcastable to them
    memory   what the guider remembered of the call before; None at first
    """

    call: int
    on_line: Tensor
    time: Tensor
    memory: Tensor | None = None

    @classmethod
    def of(
        cls,
        noisy: Tensor,
        level: Tensor,
        *,
        noise_schedule: NoiseSchedule,
        call: int = 0,
        memory: Tensor | None = None,
    ) -> Moment:
        """From latents x_t at the noise time `level` of each token."""
        sigma = noise_schedule.sigma(level.float())
        total = noise_schedule.alpha(level.float()) + sigma
        return cls(call, noisy.float() / total, sigma / total, memory)

    def velocity(self, clean: Tensor) -> Tensor:
        """eps - x_0 along the line, if `clean` is x_0; 0 where there is no noise."""
        steep = (self.on_line - clean) / self.time.clamp(min=1e-12)
        return torch.where(self.time > 0, steep, 0.0)

    def clean(self, velocity: Tensor) -> Tensor:
        """The inverse of `velocity`."""
        return self.on_line - self.time * velocity
