"""Face two of diffusion: a run from noise to clean latents, call by call of the denoiser."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmdiff.diffusion.parameterization import add_noise
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.loading.finite import finite_latents
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality


class Sampler:
    """A run that generates what is not given; whoever samples writes the loop:

        state = sampler.start
        for index in sampler.calls:
            clean = denoise(state.latents, sampler.time(index, state))
            state = sampler.step(index, state, clean, generators)

    A token with a mask between 0 and 1 is known up to the time 1 - mask; it is held at the
    first time of the run that is not above, and goes on from there with the others (SDEdit,
    arXiv 2108.01073, token by token). The run begins at the first call at which a token is free:
    with partial noise of strength 0.4 on everything it makes 0.4 of the calls, with everything
    given none.

    schedulers: one per modality, after `set_timesteps`, all with equally many calls.
    state: its latents are unit noise to start from.

    Raises ValueError if the schedulers do not fit the state, or if the clips of a batch would begin
    at different calls: solvers with a memory would make a clip depend on its neighbours.
    """

    def __init__(self, schedulers: Mapping[Modality, MatchedScheduler], state: LatentState) -> None:
        self.schedulers = schedulers
        noise = state.latents
        counts = {name: schedulers[name].num_calls for name, _ in noise.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(
                f"the schedulers call the model {counts} times; all modalities are denoised in one "
                "call, so take schedulers of one class and equal num_inference_steps (Heun calls "
                "about twice)"
            )
        num_calls = next(iter(counts.values()))
        held, masks, release, begins = {}, {}, {}, []
        all_given, all_masks = dict(state.given.items()), dict(state.mask.items())
        for name, drawn in noise.items():
            if name not in all_masks:
                begins.append(torch.zeros(len(drawn), dtype=torch.long))
                continue
            mask, given, scheduler = all_masks[name], all_given[name], schedulers[name]
            index, levels = _snap(1 - mask.double().cpu(), scheduler)
            begins.append(index.amin(tuple(range(1, index.ndim))))
            index, levels = index.to(given.device), levels.to(given.device, torch.float32)
            masks[name], release[name] = 1 - levels, torch.where(levels < 1, index, -1)
            schedule, given = scheduler.noise_schedule, given.float()
            noisy = add_noise(given, drawn.to(given), time=levels, schedule=schedule)
            held[name] = torch.where(levels > 0, noisy, given)
        first = torch.stack(begins).amin(0).unique().tolist()
        if len(first) > 1:
            raise ValueError(
                f"the clips of this batch would begin at the calls {first}; give them equal "
                "strengths, or make them in calls of their own"
            )
        self.calls = range(first[0], num_calls)
        # held: clean, or with the noise of their level. release: the call at which a token is let
        # go, -1 if it is not given, the number of calls if it never is
        self._held, self._release = ClipLatents.of(held), ClipLatents.of(release)
        started = {name: schedulers[name].start(drawn.float()) for name, drawn in noise.items()}
        latents = self._hold(ClipLatents.of(started), first[0])
        self.start = LatentState(latents, self._held, ClipLatents.of(masks))
        if 0 < first[0] < num_calls:
            for name, _ in noise.items():
                schedulers[name].begin(first[0])

    def time(self, index: int, state: LatentState) -> ClipLatents:
        """The time of each token at call `index`, broadcastable to the latents."""
        levels = {
            name: torch.full(
                (len(noisy),) + (1,) * (noisy.ndim - 1),
                self.schedulers[name].times[index],
                device=noisy.device,
            )
            for name, noisy in state.latents.items()
        }
        time = ClipLatents.of(levels)
        return state.time(time) if state.mask.items() else time

    def step(
        self,
        index: int,
        state: LatentState,
        clean: ClipLatents,
        generators: Sequence[torch.Generator],
    ) -> LatentState:
        """The state after call `index`, at which the denoiser estimated `clean`.

        generators: one per row, for what stochastic schedulers add.

        Raises NonFiniteOutput, which names the step, where an estimate or a latent is NaN or
        infinite.
        """
        step = f"step {index + 1} of {self.calls.stop}: "
        clean = state.hold(finite_latents(clean, "the denoiser", place=step))
        estimates = dict(clean.items())
        latents = ClipLatents.of(
            {
                name: self.schedulers[name].step(
                    index, noisy, clean=estimates[name], generators=generators
                )
                for name, noisy in state.latents.items()
            }
        )
        finite_latents(latents, "the scheduler", place=step)
        return state.with_latents(self._hold(latents, index + 1))

    def _hold(self, latents: ClipLatents, call: int) -> ClipLatents:
        """`latents` before `call`, with the tokens that are not yet free put back."""
        parts = dict(latents.items())
        for name, held in self._held.items():
            release = self._release.get(name)
            assert release is not None
            parts[name] = torch.where(release >= call, held.to(parts[name]), parts[name])
        return ClipLatents.of(parts)


def _snap(levels: Tensor, scheduler: MatchedScheduler) -> tuple[Tensor, Tensor]:
    """For each level the first call at or below it at which a run can begin, and that call's own
    level; the number of calls and 0 where there is none."""
    calls = scheduler.resting_calls
    bounds = [*(scheduler.times[call] for call in calls), 0.0]
    indices = [*calls, scheduler.num_calls]
    index = torch.full(levels.shape, indices[0], dtype=torch.long)
    snapped = torch.full_like(levels, bounds[0])
    is_free = levels >= 1
    for bound, later, next_bound in zip(bounds, indices[1:], bounds[1:], strict=False):
        is_below = (levels < bound - 1e-6) & ~is_free
        index = torch.where(is_below, later, index)
        snapped = torch.where(is_below, next_bound, snapped)
    return index, torch.where(is_free, torch.ones_like(snapped), snapped)
