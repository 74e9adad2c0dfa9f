"""Any scheduler of diffusers for any checkpoint: its noise levels are matched to ours by their
signal-to-noise ratio, and the sample is rescaled on the way in and out (arXiv 2206.00364)."""

import inspect
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule

# How the schedulers write x = a x_0 + s eps:
FLOW = (FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler)  # a = 1 - s
VARIANCE_EXPLODING = (  # a = 1
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
)
VARIANCE_PRESERVING = (  # a^2 + s^2 = 1 by a table of s / a (or a = 1 - s: `use_flow_sigmas`)
    UniPCMultistepScheduler,
    DPMSolverMultistepScheduler,
)
TABLED = (DDIMScheduler, DDPMScheduler)  # a^2 + s^2 = 1 by a table of a^2 per integer timestep
SUPPORTED = FLOW + VARIANCE_EXPLODING + VARIANCE_PRESERVING + TABLED


class MatchedScheduler:
    """One run of a diffusers scheduler, seen in our times and our scale.

    It works on a fresh copy of the scheduler, so that one can be handed in for several modalities.
    The copy is told that clean estimates come in, and never to clip them: clipping is for pixels.

    scheduler: any of `SUPPORTED`, with its own schedule of levels (shift, Karras sigmas, ...).
    noise_schedule: the one the backbone was trained with.
    """

    def __init__(self, scheduler: SchedulerMixin, noise_schedule: NoiseSchedule) -> None:
        """Raises ValueError for a scheduler that cannot be matched."""
        _check(scheduler)
        self.scheduler: Any = type(scheduler).from_config(scheduler.config, **_overrides(scheduler))
        self.noise_schedule = noise_schedule
        self._levels = torch.empty(0, 2, dtype=torch.float64)
        self._scales: list[float] = []
        self.times: list[float] = []

    def set_timesteps(self, num_inference_steps: int | None = None, **arguments: Any) -> None:
        """Prepares a run; must precede it, and every repetition of it.

        arguments: `sigmas`, `timesteps` or `mu` for schedulers that take them; None is left out.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        accepted = inspect.signature(self.scheduler.set_timesteps).parameters
        refused = sorted(set(given) - set(accepted))
        if refused:
            raise ValueError(
                f"{type(self.scheduler).__name__} takes no {' and no '.join(refused)}; "
                f"it takes {', '.join(name for name in accepted if name != 'device')}"
            )
        if num_inference_steps is not None:
            if num_inference_steps < 1:
                raise ValueError(f"num_inference_steps is {num_inference_steps}; it must be >= 1")
            # where the levels are given, the schedulers count them
            if not given.keys() & {"sigmas", "timesteps"}:
                given["num_inference_steps"] = num_inference_steps
        self.scheduler.set_timesteps(**given)
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(0)
        if hasattr(self.scheduler, "is_scale_input_called"):
            self.scheduler.is_scale_input_called = True
        self._match()

    @property
    def num_calls(self) -> int:
        """How often the backbone is called: the number of steps, or about twice that for Heun."""
        return len(self.times) - 1 if self.times else 0

    def start(self, noise: Tensor) -> Tensor:
        """The sample before the first call, made of unit noise, at the level of the first call."""
        return noise * self._our_spread(self.times[0])

    def step(
        self,
        index: int,
        sample: Tensor,
        *,
        clean: Tensor,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """From `times[index]` to `times[index + 1]`.

        sample: in our scale, b c ...
        clean: the estimate of the denoiser at `times[index]`.
        generators: one per row; only stochastic schedulers draw from them.
        """
        theirs = sample.float() / self._scales[index]
        output = clean.float()
        if not _takes_clean(self.scheduler):
            # the velocity eps - x_0 of flow schedulers, and eps where a = 1, are the same formula
            output = (theirs - output) / float(self._levels[index, 1])
        arguments: dict[str, Any] = {"return_dict": False}
        if "generator" in inspect.signature(self.scheduler.step).parameters:
            arguments["generator"] = list(generators)
        if isinstance(self.scheduler, DDIMScheduler):
            self._stride(index)
        timestep = self.scheduler.timesteps[index]
        result = self.scheduler.step(output, timestep, theirs, **arguments)[0]
        return result * self._scales[index + 1]

    def _match(self) -> None:
        self._levels = _levels(self.scheduler)
        log_snr = 2 * (self._levels[:, 0].log() - self._levels[:, 1].log())
        self.times = self.noise_schedule.time_of(log_snr).tolist()
        theirs = torch.hypot(self._levels[:, 0], self._levels[:, 1]).tolist()
        self._scales = [
            self._our_spread(time) / spread for time, spread in zip(self.times, theirs, strict=True)
        ]

    def _our_spread(self, time: float) -> float:
        """Standard deviation of x_t where the clean signal has 1."""
        exact = torch.tensor(time, dtype=torch.float64)
        return float(
            torch.hypot(self.noise_schedule.alpha(exact), self.noise_schedule.sigma(exact))
        )

    def _stride(self, index: int) -> None:
        # DDIM goes down by num_train_timesteps // num_inference_steps, whatever its next timestep
        # is; this makes the quotient exactly the distance to the next one (to -1 at the end).
        timesteps = [*self.scheduler.timesteps.tolist(), -1]
        distance = timesteps[index] - timesteps[index + 1]
        self.scheduler.num_inference_steps = Fraction(
            self.scheduler.config.num_train_timesteps, distance
        )


def _levels(scheduler: Any) -> Tensor:
    """(a, s) before each call and after the last: calls + 1 by 2, float64."""
    if isinstance(scheduler, TABLED):
        kept = scheduler.alphas_cumprod.double()[scheduler.timesteps.cpu()]
        last = getattr(scheduler, "final_alpha_cumprod", torch.ones(()))
        kept = torch.cat([kept, last.double()[None]])
        return torch.stack([kept.sqrt(), (1 - kept).sqrt()], dim=1)
    sigmas = scheduler.sigmas.double().cpu()[: len(scheduler.timesteps) + 1]
    if isinstance(scheduler, FLOW) or scheduler.config.get("use_flow_sigmas", False):
        return torch.stack([1 - sigmas, sigmas], dim=1)
    if isinstance(scheduler, VARIANCE_EXPLODING):
        return torch.stack([torch.ones_like(sigmas), sigmas], dim=1)
    alphas = (1 + sigmas**2).rsqrt()
    return torch.stack([alphas, sigmas * alphas], dim=1)


def _takes_clean(scheduler: Any) -> bool:
    return isinstance(scheduler, (EulerDiscreteScheduler, *VARIANCE_PRESERVING, *TABLED))


def _overrides(scheduler: Any) -> dict[str, Any]:
    wanted = {
        "prediction_type": "sample" if _takes_clean(scheduler) else "epsilon",
        "clip_sample": False,
        "thresholding": False,
    }
    return {name: value for name, value in wanted.items() if name in scheduler.config}


def _check(scheduler: Any) -> None:
    name = type(scheduler).__name__
    if not isinstance(scheduler, SUPPORTED):
        raise ValueError(
            f"scheduler is {name}; its noise levels are not known here. Possible are "
            f"{', '.join(kind.__name__ for kind in SUPPORTED)}"
        )
    if scheduler.config.get("invert_sigmas", False):
        raise ValueError(f"{name} has invert_sigmas=True, where 1 is clean; set it to False")
    if str(scheduler.config.get("variance_type")).startswith("learned"):
        raise ValueError(
            f"{name} has variance_type={scheduler.config['variance_type']!r}, which no backbone "
            "here predicts; set it to 'fixed_small'"
        )
