"""Denoiser: what a backbone predicts, turned into a clean estimate."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.cache_utils import CacheMixin
from torch import Tensor, nn

from mmdiff.diffusion.noise_schedule import NoiseSchedule
from mmdiff.diffusion.parameterization import Parameterization, to_clean
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents

# A noise prediction says nothing of the signal where there is none; below this log(SNR)
# (alpha = 0.0067, where the betas of DDPM end as well) the backbone is asked at this one instead.
LEAST_LOG_SNR_OF_NOISE_PREDICTION = -10.0


@dataclass(eq=False)
class Denoiser:
    """Clean estimates of any backbone, whatever it predicts."""

    backbone: nn.Module
    noise_schedule: NoiseSchedule
    parameterization: Parameterization
    _rows: int = field(default=0, init=False)

    def __call__(
        self, latents: ClipLatents, time: ClipLatents, context: Context, *, ablation: Any = None
    ) -> ClipLatents:
        """The expected clean latents, in fp32.

        latents: alpha(time) x_0 + sigma(time) eps.
        time: t of each token, broadcastable; conditioned tokens are at 0.
        """
        if self.parameterization == "noise":
            latents, time = self._with_some_signal(latents, time)
        dtype = getattr(self.backbone, "dtype", torch.float32)
        cached = isinstance(self.backbone, CacheMixin)
        with self._cache_context(latents.batch_size) if cached else nullcontext():
            prediction = self.backbone(
                latents.to(dtype), time.to(torch.float32), context.to(dtype), ablation=ablation
            )
        predicted, times = dict(prediction.items()), dict(time.items())
        return ClipLatents.of(
            {
                name: to_clean(
                    predicted[name].float(),
                    noisy.float(),
                    time=times[name].float(),
                    schedule=self.noise_schedule,
                    parameterization=self.parameterization,
                )
                for name, noisy in latents.items()
            }
        )

    def _cache_context(self, rows: int) -> AbstractContextManager[None]:
        """Diffusers' caches ask in which run of the denoiser they are; all guiders share one call.
        Within their intervals guiders change the rows: what is cached of other rows is dropped."""
        assert isinstance(self.backbone, CacheMixin)
        if rows != self._rows:
            self.backbone._reset_stateful_cache()
            self._rows = rows
        context: AbstractContextManager[None] = self.backbone.cache_context("denoising")
        return context

    def _with_some_signal(
        self, latents: ClipLatents, time: ClipLatents
    ) -> tuple[ClipLatents, ClipLatents]:
        least = torch.tensor(LEAST_LOG_SNR_OF_NOISE_PREDICTION)
        latest = float(self.noise_schedule.time_of(least))
        bounded = time.map(lambda level: level.clamp(max=latest))
        scale = bounded.zip(time, lambda new, old: self._spread(new) / self._spread(old))
        return latents.zip(scale, torch.mul), bounded

    def _spread(self, time: Tensor) -> Tensor:
        return torch.hypot(self.noise_schedule.alpha(time), self.noise_schedule.sigma(time))
