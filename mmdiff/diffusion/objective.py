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
from mmdiff.diffusion.timesteps import (
    LossWeighting,
    NoWeighting,
    TimeDensity,
    UniformDensity,
    shift_time,
)
from mmdiff.values.checks import check_fractions, check_weights
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
        check_fractions(shared_time_probability=shared_time_probability)
        self.noise_schedule = noise_schedule or Flow()
        self.parameterization = parameterization
        self.time_density = time_density or UniformDensity()
        self.weighting = weighting or NoWeighting()
        self.shifts = _per_modality("shifts", shifts, above=True)
        self.modality_weights = _per_modality("modality_weights", modality_weights, above=False)
        self.shared_time_probability = shared_time_probability

    def __call__(
        self, backbone: Backbone, state: LatentState, context: Context, key: NoiseKey
    ) -> dict[str, Tensor]:
        """Losses in fp32: "loss/video", "loss/audio" where present; "loss", their weighted sum.

        state: clean latents, unit variance; tokens that are conditioned exactly (mask 1) stay clean
            and carry no loss, those in between get no more noise than their mask leaves open.
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
        there is none; and the time of each token, broadcastable.

        quantiles: between which ones of the density the times are drawn.
        """
        clean = state.latents.map(Tensor.float)
        noise = self.noise(clean, key)
        times = state.time(self.levels(clean, key, quantiles=quantiles))
        targets, eps, at = dict(clean.items()), dict(noise.items()), dict(times.items())
        noisy = ClipLatents.of(
            {
                name: add_noise(x, eps[name], time=at[name], schedule=self.noise_schedule)
                for name, x in targets.items()
            }
        )
        predictions = dict(backbone(state.hold(noisy), times, context).items())
        losses = {
            name: self._loss(
                predictions[name],
                clean=x,
                noise=eps[name],
                time=at[name],
                generated=state.generated(name),
            )
            for name, x in targets.items()
        }
        return losses, times

    def total(self, losses: Mapping[Modality, Tensor]) -> dict[str, Tensor]:
        """The losses, one number each or one per sample, and their weighted sum as "loss"."""
        weighted = [self.modality_weights.get(name, 1.0) * loss for name, loss in losses.items()]
        return {
            "loss": torch.stack(weighted).sum(0),
            **{f"loss/{name}": loss for name, loss in losses.items()},
        }

    def noise(self, clean: ClipLatents, key: NoiseKey) -> ClipLatents:
        """The noise of each modality, one draw per sample id, on the device of the latents."""
        assert len(key.sample_ids) == clean.batch_size, "the key names one sample id per row"
        return ClipLatents.of(
            {
                name: keyed_noise(key, f"noise/{name}", tuple(x.shape[1:])).to(x.device)
                for name, x in clean.items()
            }
        )

    def levels(
        self, clean: ClipLatents, key: NoiseKey, *, quantiles: tuple[float, float] = (0.0, 1.0)
    ) -> ClipLatents:
        """One time per sample and modality: video b 1 1 1 1, audio b 1 1 1."""
        least, most = quantiles
        shared = keyed_uniform(key, "time")
        is_shared = keyed_uniform(key, "time/is_shared") < self.shared_time_probability
        times = {}
        for name, x in clean.items():
            uniform = torch.where(is_shared, shared, keyed_uniform(key, f"time/{name}"))
            uniform = least + (most - least) * uniform
            time = shift_time(self.time_density.time(uniform), self.shifts.get(name, 1.0))
            times[name] = rearrange(time.to(x.device), f"b -> b {'1 ' * (x.ndim - 1)}")
        return ClipLatents.of(times)

    def _loss(
        self,
        prediction: Tensor,
        *,
        clean: Tensor,
        noise: Tensor,
        time: Tensor,
        generated: Tensor | None,
    ) -> Tensor:
        """Mean over the generated tokens of each sample."""
        schedule, predicted = self.noise_schedule, self.parameterization
        target = to_prediction(
            clean, noise, time=time, schedule=schedule, parameterization=predicted
        )
        weight = self.weighting.weight(time, schedule=schedule, parameterization=predicted)
        error = weight * (prediction.float() - target) ** 2
        if generated is None:
            return reduce(error, "b ... -> b", "mean")
        counted = generated.to(error).expand_as(error)
        error = torch.where(counted > 0, error, 0.0)
        count = reduce(counted, "b ... -> b", "sum").clamp(min=1)
        return reduce(error, "b ... -> b", "sum") / count


def _per_modality(
    name: str, numbers: Mapping[str, float] | None, *, above: bool
) -> dict[str, float]:
    """Numbers by modality, of those that are named; each above 0, or from 0 on."""
    unknown = sorted(set(numbers or {}) - set(MODALITIES))
    if unknown:
        raise ValueError(f"{name} names {unknown}; the modalities are {list(MODALITIES)}")
    for modality, number in (numbers or {}).items():
        check_weights(above=above, **{f"{name}.{modality}": number})
    return {modality: float(number) for modality, number in (numbers or {}).items()}
