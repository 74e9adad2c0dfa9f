"""Any scheduler of diffusers for any checkpoint: its noise levels are matched to ours by their
signal-to-noise ratio, and the sample is rescaled on the way in and out (arXiv 2206.00364)."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import SchedulerMixin
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule
from mmdiff.diffusion.scheduler_families import check, levels, prediction, resting_calls
from mmdiff.diffusion.scheduler_repairs import prepare, repair


class MatchedScheduler:
    """One run of a diffusers scheduler, seen in our times and our scale.

    It works on a fresh copy of the scheduler, so that one can be handed in for several modalities.
    The copy is told that clean estimates come in, and never to clip them: clipping is for pixels.
    Every run ends clean: where the scheduler's own last level has noise left, the last call gives
    the clean estimate instead (a step of first order down to no noise).

    scheduler: any of `scheduler_families.SUPPORTED`, with its own schedule of levels (shift, Karras
        sigmas, ...).
    noise_schedule: the one the backbone was trained with.
    """

    def __init__(self, scheduler: SchedulerMixin, noise_schedule: NoiseSchedule) -> None:
        """Raises ValueError for a scheduler that cannot be matched."""
        check(scheduler)
        self.scheduler: Any = type(scheduler).from_config(scheduler.config, **_overrides(scheduler))
        repair(self.scheduler)
        self.noise_schedule = noise_schedule
        self.first_call = 0
        self.times: list[float] = []
        self._arguments: dict[str, Any] = {}
        self._levels = torch.empty(0, 2, dtype=torch.float64)
        self._scales: list[float] = []
        self._is_clean_last = True

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
        self._arguments = given
        self._restart(0)
        self._match()

    def begin(self, index: int) -> None:
        """Makes the run start at call `index`, with no history; must precede every such run.

        The sample to go on from is then one at `times[index]`.
        Raises ValueError unless `index` is one of `resting_calls`.
        """
        if index not in self.resting_calls:
            raise ValueError(
                f"index is {index}; after set_timesteps, a run of {type(self.scheduler).__name__} "
                f"can begin at the calls {self.resting_calls}"
            )
        self._restart(index)

    @property
    def num_calls(self) -> int:
        """How often the backbone is called by a whole run: the number of steps, or about twice
        that for Heun and its like, or one more for PNDM."""
        return len(self.times) - 1 if self.times else 0

    @property
    def resting_calls(self) -> list[int]:
        """The calls at which a run can begin, the first included: all, or one a step for solvers
        that call twice."""
        return resting_calls(self.scheduler) if self.times else []

    def start(self, noise: Tensor) -> Tensor:
        """The sample before the first call of a whole run, made of unit noise, at its level."""
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
        if index == self.num_calls - 1 and not self._is_clean_last:
            return clean.float()
        theirs = sample.float() / self._scales[index]
        arguments = prepare(self.scheduler, index, first_call=self.first_call)
        if "generator" in inspect.signature(self.scheduler.step).parameters:
            arguments["generator"] = list(generators)
        output = self._output(index, theirs, clean=clean.float())
        timestep = self.scheduler.timesteps[index]
        result = self.scheduler.step(output, timestep, theirs, return_dict=False, **arguments)[0]
        return result * self._scales[index + 1]

    def _output(self, index: int, theirs: Tensor, *, clean: Tensor) -> Tensor:
        """What their backbone would have predicted."""
        wanted = prediction(self.scheduler)
        if wanted == "sample":
            return clean
        kept, noise = self._levels[index].tolist()
        # the velocity eps - x_0 where a = 1 - s, and eps
        return (theirs - (clean if wanted == "velocity" else kept * clean)) / noise

    def _restart(self, index: int) -> None:
        self.first_call = index
        self.scheduler.set_timesteps(**self._arguments)
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(index)

    def _match(self) -> None:
        if float(self.scheduler.timesteps.min()) < 0:
            raise ValueError(
                f"{type(self.scheduler).__name__} makes {len(self.scheduler.timesteps)} timesteps "
                f"of {self._arguments}, the last below 0 (its timestep_spacing='trailing' rounds "
                "badly there); take a step fewer, or timestep_spacing='linspace'"
            )
        self._levels = levels(self.scheduler)
        self._is_clean_last = float(self._levels[-1, 1]) == 0
        if not self._is_clean_last:
            self._levels[-1] = torch.tensor([1.0, 0.0])
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


def _overrides(scheduler: Any) -> dict[str, Any]:
    wanted = {
        "prediction_type": "epsilon" if prediction(scheduler) == "epsilon" else "sample",
        "clip_sample": False,
        "thresholding": False,
    }
    return {name: value for name, value in wanted.items() if name in scheduler.config}
