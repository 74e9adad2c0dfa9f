"""Any scheduler of diffusers for any checkpoint: its noise levels are matched to ours by their
signal-to-noise ratio, and the sample is rescaled on the way in and out (arXiv 2206.00364)."""

import inspect
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    FlowMatchLCMScheduler,
    HeunDiscreteScheduler,
    LCMScheduler,
    SASolverScheduler,
    SchedulerMixin,
    TCDScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule

# How the schedulers write x = a x_0 + s eps:
FLOW = (  # a = 1 - s
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    FlowMatchLCMScheduler,
)
VARIANCE_EXPLODING = (  # a = 1
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
)
VARIANCE_PRESERVING = (  # a^2 + s^2 = 1 by a table of s / a (or a = 1 - s: `use_flow_sigmas`)
    UniPCMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    DEISMultistepScheduler,
    SASolverScheduler,
)
TABLED = (  # a^2 + s^2 = 1 by a table of a^2 per integer timestep
    DDIMScheduler,
    DDPMScheduler,
    LCMScheduler,
    TCDScheduler,
)
SUPPORTED = FLOW + VARIANCE_EXPLODING + VARIANCE_PRESERVING + TABLED
# these do not take a clean estimate (or, Heun, are left as they were)
_TAKE_NOISE = (EulerAncestralDiscreteScheduler, HeunDiscreteScheduler)
# two calls a step, of which the second goes on from where the first did
_TWO_CALLS = (FlowMatchHeunDiscreteScheduler, HeunDiscreteScheduler)


class MatchedScheduler:
    """One run of a diffusers scheduler, seen in our times and our scale.

    It works on a fresh copy of the scheduler, so that one can be handed in for several modalities.
    The copy is set to take clean estimates, and never to clip them: clipping is for pixels.
    Every run ends clean: where the scheduler's own last level has noise left, the last call gives
    the clean estimate instead (a step of first order down to no noise).

    scheduler: any of `SUPPORTED`, with its own schedule of levels (shift, Karras sigmas, ...).
    noise_schedule: the one the backbone was trained with.
    """

    def __init__(self, scheduler: SchedulerMixin, noise_schedule: NoiseSchedule) -> None:
        """Raises ValueError for a scheduler that cannot be matched."""
        if fault := _fault(scheduler):
            raise ValueError(f"scheduler is {type(scheduler).__name__}; {fault}")
        self.wants: Literal["sample", "epsilon", "velocity"] = "sample"
        if isinstance(scheduler, FLOW):
            self.wants = "velocity"
        elif isinstance(scheduler, _TAKE_NOISE):
            self.wants = "epsilon"
        prediction_type = "epsilon" if self.wants == "epsilon" else "sample"
        wanted = {
            "prediction_type": prediction_type,
            "clip_sample": False,
            "thresholding": False,
        }
        config = scheduler.config
        overrides = {name: value for name, value in wanted.items() if name in config}
        self.scheduler: Any = type(scheduler).from_config(config, **overrides)
        if hasattr(self.scheduler, "is_scale_input_called"):
            self.scheduler.is_scale_input_called = True  # else it warns: we scale
        self.noise_schedule = noise_schedule
        self.num_calls = 0
        """How often the backbone is called by a whole run: the number of steps, or about twice that
        for Heun."""
        self.times: list[float] = []
        self._arguments: dict[str, Any] = {}
        self._levels = torch.empty(0, 2, dtype=torch.float64)
        self._scales: list[float] = []
        self._ends_clean = True

    def set_timesteps(self, num_inference_steps: int | None = None, **arguments: Any) -> None:
        """Prepares a run; must precede it, and every repetition of it.

        arguments: `sigmas`, `timesteps` or `mu` for schedulers that take them; None is left out.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        name = type(self.scheduler).__name__
        accepted = inspect.signature(self.scheduler.set_timesteps).parameters
        refused = sorted(set(given) - set(accepted))
        if refused:
            raise ValueError(
                f"{name} takes no {' and no '.join(refused)}; "
                f"it takes {', '.join(name for name in accepted if name != 'device')}"
            )
        # where the levels are given, the schedulers count them
        if num_inference_steps is not None and not given.keys() & {"sigmas", "timesteps"}:
            given["num_inference_steps"] = num_inference_steps
        self._arguments = given
        self.begin(0)
        if float(self.scheduler.timesteps.min()) < 0:
            raise ValueError(
                f"{name} makes {len(self.scheduler.timesteps)} timesteps of {given}, the last "
                "below 0 (its timestep_spacing='trailing' rounds badly there); take a step fewer, "
                "or timestep_spacing='linspace'"
            )
        self._levels = levels(self.scheduler)
        self._ends_clean = float(self._levels[-1, 1]) == 0
        if not self._ends_clean:
            self._levels[-1] = torch.tensor([1.0, 0.0])
        log_snr = 2 * (self._levels[:, 0].log() - self._levels[:, 1].log())
        self.times = self.noise_schedule.time_of(log_snr).tolist()
        self.num_calls = len(self.times) - 1
        theirs = torch.hypot(self._levels[:, 0], self._levels[:, 1]).tolist()
        self._scales = [
            self._spread(time) / spread for time, spread in zip(self.times, theirs, strict=True)
        ]

    def begin(self, index: int) -> None:
        """Makes the run start at call `index`, one of `resting_calls`, with no history; must
        precede every such run. The sample to go on from is then one at `times[index]`."""
        self.scheduler.set_timesteps(**self._arguments)
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(index)

    @property
    def resting_calls(self) -> list[int]:
        """The calls before which the sample is where the solver left it, so that a run can begin
        there: all, or one a step for solvers that call twice."""
        return list(range(0, self.num_calls, 2 if isinstance(self.scheduler, _TWO_CALLS) else 1))

    def start(self, noise: Tensor) -> Tensor:
        """The sample before the first call of a whole run, made of unit noise, at its level."""
        return noise * self._spread(self.times[0])

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
        output = clean.float()
        if index == self.num_calls - 1 and not self._ends_clean:
            return output
        theirs = sample.float() / self._scales[index]
        if self.wants != "sample":
            kept, noise = self._levels[index].tolist()
            # the velocity eps - x_0 where a = 1 - s, and eps
            output = (theirs - (output if self.wants == "velocity" else kept * output)) / noise
        timesteps = self.scheduler.timesteps
        if isinstance(self.scheduler, DDIMScheduler):
            # It goes down by num_train_timesteps // num_inference_steps, whatever its next timestep
            # is; this makes the quotient exactly the distance to the next one (to -1 at the end).
            following = [*timesteps.tolist(), -1][index + 1]
            distance = int(timesteps[index]) - following
            trained = self.scheduler.config.num_train_timesteps
            self.scheduler.num_inference_steps = Fraction(trained, distance)
        arguments: dict[str, Any] = {}
        if "generator" in inspect.signature(self.scheduler.step).parameters:
            arguments["generator"] = list(generators)
        result = self.scheduler.step(
            output, timesteps[index], theirs, return_dict=False, **arguments
        )[0]
        return result * self._scales[index + 1]

    def _spread(self, time: float) -> float:
        """Standard deviation of our x_t where the clean signal has 1."""
        exact = torch.tensor(time, dtype=torch.float64)
        return float(
            torch.hypot(self.noise_schedule.alpha(exact), self.noise_schedule.sigma(exact))
        )


def levels(scheduler: Any) -> Tensor:
    """(a, s) before each call and after the last: calls + 1 by 2, float64.

    scheduler: after `set_timesteps`.
    """
    if isinstance(scheduler, TABLED):
        if isinstance(scheduler, TCDScheduler):  # goes to timestep 0, whatever `set_alpha_to_one`
            last = scheduler.alphas_cumprod[0]
        elif isinstance(scheduler, LCMScheduler):
            last = torch.ones(())
        else:
            last = getattr(scheduler, "final_alpha_cumprod", torch.ones(()))
        kept = scheduler.alphas_cumprod.double()[scheduler.timesteps.cpu()]
        kept = torch.cat([kept, last.double()[None]])
        return torch.stack([kept.sqrt(), (1 - kept).sqrt()], dim=1)
    sigmas = scheduler.sigmas.double().cpu()[: len(scheduler.timesteps) + 1]
    if isinstance(scheduler, FLOW) or scheduler.config.get("use_flow_sigmas", False):
        return torch.stack([1 - sigmas, sigmas], dim=1)
    if isinstance(scheduler, VARIANCE_EXPLODING):
        return torch.stack([torch.ones_like(sigmas), sigmas], dim=1)
    alphas = (1 + sigmas**2).rsqrt()
    return torch.stack([alphas, sigmas * alphas], dim=1)


def _fault(scheduler: Any) -> str:
    """Why a scheduler cannot be matched, with a hint; empty where it can."""
    if not isinstance(scheduler, SUPPORTED):
        names = ", ".join(one.__name__ for one in SUPPORTED)
        return f"its noise levels are not known here. Possible are {names}"
    config = scheduler.config
    algorithm = config.get("algorithm_type")
    faults = {
        "invert_sigmas=True, where 1 is clean; set it to False": config.get("invert_sigmas"),
        f"variance_type={config.get('variance_type')!r}, which no backbone here predicts; set it "
        "to 'fixed_small'": str(config.get("variance_type")).startswith("learned"),
        "stochastic_sampling=True, which noises the clean estimate anew: right for a distilled "
        "checkpoint, up to 30 % too little variance from any other. Take FlowMatchLCMScheduler for "
        "the one, and for the other DPMSolverMultistepScheduler(algorithm_type='sde-dpmsolver++', "
        "use_flow_sigmas=True)": config.get("stochastic_sampling"),
        "scale_factors, which change the shape; set it to None": config.get("scale_factors"),
        "algorithm_type='noise_prediction', which diverges at 16 steps and fewer; set it to "
        "'data_prediction'": algorithm == "noise_prediction",
        "algorithm_type='sde-dpmsolver++', whose calls of a step draw unrelated noise: 10 % too "
        "little spread at 50 steps. Take DPMSolverMultistepScheduler with it": algorithm
        == "sde-dpmsolver++"
        and isinstance(scheduler, DPMSolverSinglestepScheduler),
    }
    return next((f"it has {fault}" for fault, is_there in faults.items() if is_there), "")
