"""Face one of diffusion: the loss."""

from collections.abc import Callable, Mapping

import torch
from einops import rearrange, reduce
from torch import Tensor

from mmdiff.diffusion.noise import NoiseKey, keyed_noise, keyed_uniform
from mmdiff.diffusion.noise_schedule import Flow, NoiseSchedule
from mmdiff.diffusion.parameterization import (
    Parameterization,
    add_noise,
    check_parameterization,
    to_prediction,
)
from mmdiff.diffusion.timesteps import TimeDensity, UniformDensity, shift_time
from mmdiff.diffusion.weighting import LossWeighting, NoWeighting
from mmdiff.values.checks import check_weights
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import MODALITIES, ClipLatents, Modality

Backbone = Callable[[ClipLatents, ClipLatents, Context], ClipLatents]


class DiffusionObjective:
    """Weighted mean squared error of the prediction, for every modality there is.

    One time is drawn per sample and modality. Noise and times come from the key alone, so a sample
    has the same loss in any batch.

    shifts: per modality, how far its times are moved towards the noise (1: not at all).
    modality_weights: per modality, its part in "loss" (1 where not named).
    shared_time_probability: how often all modalities of a sample use the same quantile of the
        density, each with its own shift; otherwise their times are independent.
    """

    def __init__(
        self,
        noise_schedule: NoiseSchedule | None = None,
        parameterization: Parameterization = "velocity",
        *,
        time_density: TimeDensity | None = None,
        weighting: LossWeighting | None = None,
        shifts: Mapping[str, float] | None = None,
        modality_weights: Mapping[str, float] | None = None,
        shared_time_probability: float = 1.0,
    ) -> None:
        check_parameterization(parameterization)
        if not 0 <= shared_time_probability <= 1:
            raise ValueError(
                f"shared_time_probability is {shared_time_probability}; it must be within 0 and 1"
            )
        for name, shift in (shifts or {}).items():
            check_weights(above=True, **{f"shifts.{name}": shift})
        for name, weight in (modality_weights or {}).items():
            check_weights(above=False, **{f"modality_weights.{name}": weight})
        self.noise_schedule = noise_schedule or Flow()
        self.parameterization = parameterization
        self.time_density = time_density or UniformDensity()
        self.weighting = weighting or NoWeighting()
        self.shifts = _per_modality("shifts", shifts)
        self.modality_weights = _per_modality("modality_weights", modality_weights)
        self.shared_time_probability = shared_time_probability

    def __call__(
        self, backbone: Backbone, state: LatentState, context: Context, key: NoiseKey
    ) -> dict[str, Tensor]:
        """Losses in fp32: "loss/video", "loss/audio" where present; "loss", their weighted sum.

        state: clean latents, unit variance; tokens that are given exactly (mask 1) stay clean and
            carry no loss, those in between get no more noise than their mask leaves open.
        Raises ValueError if the key does not name every row.
        """
        losses, _ = self.each(backbone, state, context, key)
        return self.total({name: loss.mean() for name, loss in losses.items()})

    def each(
        self,
        backbone: Backbone,
        state: LatentState,
        context: Context,
        key: NoiseKey,
        *,
        quantiles: tuple[float, float] = (0.0, 1.0),
    ) -> tuple[dict[Modality, Tensor], ClipLatents]:
        """The loss of each sample and modality, b: the mean over its generated tokens, and 0 where
        there is none; and the noise level of each token, broadcastable.

        quantiles: between which ones of the density the times are drawn.
        """
        clean = state.latents.map(Tensor.float)
        times = self.levels(clean, key, quantiles=quantiles)
        noise, levels = self.noise(clean, key), state.time(times)
        noisy = ClipLatents.of(
            {
                name: add_noise(
                    _half(clean, name),
                    _half(noise, name),
                    time=_half(levels, name),
                    schedule=self.noise_schedule,
                )
                for name in clean.modalities
            }
        )
        prediction = backbone(state.hold(noisy), levels, context)
        losses = {
            name: self._loss(
                _half(prediction, name),
                clean=_half(clean, name),
                noise=_half(noise, name),
                level=_half(levels, name),
                generated=state.generated(name),
            )
            for name in clean.modalities
        }
        return losses, levels

    def total(self, losses: Mapping[Modality, Tensor]) -> dict[str, Tensor]:
        """The losses, one number each or one per sample, and their weighted sum as "loss"."""
        weighted = [self.modality_weights.get(name, 1.0) * loss for name, loss in losses.items()]
        return {
            "loss": torch.stack(weighted).sum(0),
            **{f"loss/{name}": loss for name, loss in losses.items()},
        }

    def noise(self, clean: ClipLatents, key: NoiseKey) -> ClipLatents:
        """The noise of each half, one draw per sample id, on the device of the latents."""
        if len(key.sample_ids) != clean.batch_size:
            raise ValueError(
                f"the noise key names {len(key.sample_ids)} samples and the batch has "
                f"{clean.batch_size}; give one sample id per row"
            )
        return ClipLatents.of(
            {
                name: keyed_noise(key, f"noise/{name}", tuple(_half(clean, name).shape[1:])).to(
                    clean.device
                )
                for name in clean.modalities
            }
        )

    def levels(
        self, clean: ClipLatents, key: NoiseKey, *, quantiles: tuple[float, float] = (0.0, 1.0)
    ) -> ClipLatents:
        """One time per sample and half: video b 1 1 1 1, audio b 1 1 1."""
        least, most = quantiles
        shared = keyed_uniform(key, "time")
        is_shared = keyed_uniform(key, "time/is_shared") < self.shared_time_probability
        levels = {}
        for name in clean.modalities:
            uniform = torch.where(is_shared, shared, keyed_uniform(key, f"time/{name}"))
            uniform = least + (most - least) * uniform
            time = shift_time(self.time_density.time(uniform), self.shifts.get(name, 1.0))
            ones = " 1" * (_half(clean, name).ndim - 1)  # broadcastable to the latents
            levels[name] = rearrange(time.to(clean.device), f"b -> b{ones}")
        return ClipLatents.of(levels)

    def _loss(
        self,
        prediction: Tensor,
        *,
        clean: Tensor,
        noise: Tensor,
        level: Tensor,
        generated: Tensor | None,
    ) -> Tensor:
        """Mean over the generated tokens of each sample."""
        target = to_prediction(
            clean,
            noise,
            time=level,
            schedule=self.noise_schedule,
            parameterization=self.parameterization,
        )
        weight = self.weighting.weight(
            level, schedule=self.noise_schedule, parameterization=self.parameterization
        )
        error = weight * (prediction.float() - target) ** 2
        if generated is None:
            return reduce(error, "b ... -> b", "mean")
        kept = generated.to(error).expand_as(error)
        error = torch.where(kept > 0, error, 0.0)
        count = reduce(kept, "b ... -> b", "sum").clamp(min=1)
        return reduce(error, "b ... -> b", "sum") / count


def _half(latents: ClipLatents, modality: Modality) -> Tensor:
    half = latents.get(modality)
    if half is None:
        raise ValueError(f"the backbone was given {modality} and gave none back")
    return half


def _per_modality(name: str, numbers: Mapping[str, float] | None) -> dict[str, float]:
    numbers = dict(numbers or {})
    unknown = sorted(set(numbers) - set(MODALITIES))
    if unknown:
        raise ValueError(f"{name} names {unknown}; the modalities are {list(MODALITIES)}")
    return {modality: float(numbers.get(modality, 1.0)) for modality in MODALITIES}
