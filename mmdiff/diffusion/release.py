"""When a run lets go of what it was given: never where it is exact, else at its own level."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.diffusion.noise_schedule import NoiseSchedule
from mmdiff.diffusion.parameterization import add_noise
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality


@dataclass(frozen=True)
class Release:
    """The tokens that are given, and the calls from which on each is free.

    state   the state, whose masks are moved to levels that the run passes through
    held    values of given tokens until then: clean, or with the noise of their level
    calls   the call at which a token is released: -1 if it is not given, the number of calls if
            it never is; shaped like the masks
    first   the first call of which anything can come; the number of calls if all is given
    """

    state: LatentState
    held: ClipLatents
    calls: ClipLatents
    first: int

    def hold(self, latents: ClipLatents, call: int) -> ClipLatents:
        """`latents` before `call`, with the tokens that are not yet free put back."""
        halves = {}
        for name in latents.modalities:
            half, held, calls = latents.get(name), self.held.get(name), self.calls.get(name)
            assert half is not None
            halves[name] = half
            if held is not None and calls is not None:
                halves[name] = torch.where(calls >= call, held.to(half), half)
        return ClipLatents.of(halves)


def plan_release(
    schedulers: Mapping[Modality, MatchedScheduler], state: LatentState, noise: ClipLatents
) -> Release:
    """How a run of `schedulers` treats what `state` is given.

    A token with a mask between 0 and 1 is known up to the noise level 1 - mask; it is held at the
    first level of the run that is not above, and goes on from there with the others (SDEdit,
    arXiv 2108.01073, token by token).

    noise: unit noise of the run. Raises ValueError if the clips of a batch would begin at
    different calls: solvers with a memory would make a clip depend on its neighbours.
    """
    masks, held, calls = {}, {}, {}
    firsts = []
    for name in state.latents.modalities:
        mask, given, drawn = state.mask.get(name), state.given.get(name), noise.get(name)
        scheduler = schedulers[name]
        if mask is None or given is None or drawn is None:
            firsts.append(torch.zeros(state.latents.batch_size, dtype=torch.long))
            continue
        index, levels = _snap(1 - mask.double().cpu(), scheduler)
        firsts.append(index.amin(tuple(range(1, index.ndim))))
        index, levels = index.to(given.device), levels.to(given.device, torch.float32)
        masks[name], calls[name] = 1 - levels, torch.where(levels < 1, index, -1)
        held[name] = _noised(
            given.float(), drawn.to(given.device), levels, scheduler.noise_schedule
        )
        firsts.append(index.amin(tuple(range(1, index.ndim))))
    begins = torch.stack(firsts).amin(0).unique().tolist()
    if len(begins) > 1:
        raise ValueError(
            f"the clips of this batch would begin at the calls {begins}; give them equal "
            "strengths, or make them in calls of their own"
        )
    state = LatentState(state.latents, ClipLatents.of(held), ClipLatents.of(masks))
    return Release(state, ClipLatents.of(held), ClipLatents.of(calls), begins[0])


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


def _noised(given: Tensor, noise: Tensor, levels: Tensor, schedule: NoiseSchedule) -> Tensor:
    noisy = add_noise(given, noise.float(), time=levels, schedule=schedule)
    return torch.where(levels > 0, noisy, given)
