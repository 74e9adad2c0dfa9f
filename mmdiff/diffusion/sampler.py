"""Face two of diffusion: the loop from noise to clean latents."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mmdiff.diffusion.release import plan_release
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.values.finite import finite_halves
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality

Denoise = Callable[[ClipLatents, ClipLatents], ClipLatents]
# after each call: (its index, the state) -> a state to go on with, or None for the same
StepCallback = Callable[[int, LatentState], LatentState | None]


def draw_noise(like: ClipLatents, generators: Sequence[torch.Generator]) -> ClipLatents:
    """Unit noise in fp32 for each half, each row by its own generator, where the generator lives.

    Raises ValueError unless there is one generator per row.
    """
    if len(generators) != like.batch_size:
        raise ValueError(
            f"there are {len(generators)} generators for {like.batch_size} samples; give one each, "
            "so that a sample does not depend on its neighbours"
        )

    def draw(half: Tensor) -> Tensor:
        rows = [
            torch.randn(half.shape[1:], generator=generator, device=generator.device)
            for generator in generators
        ]
        return torch.stack(rows).to(half.device)

    return like.map(draw)


def sample(
    denoise: Denoise,
    schedulers: Mapping[Modality, MatchedScheduler],
    state: LatentState,
    generators: Sequence[torch.Generator],
    *,
    noise: ClipLatents | None = None,
    callback: StepCallback | None = None,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> LatentState:
    """Generates what is not given.

    The run begins at the first call at which a token is free: with partial noise of strength 0.4
    on everything it makes 0.4 of the calls, with everything given none.

    denoise: (latents, time) -> clean estimate.
    schedulers: one per half, after `set_timesteps`, all with equally many calls.
    state: its latents give shapes and device only.
    generators: one per row; the start is drawn from them, and what stochastic schedulers add.
    noise: unit noise to start from instead of drawing it.
    callback: after each call that is made: (its index among all calls of the schedulers, state).
    Raises ValueError if the schedulers, generators or noise do not fit the state, and
    NonFiniteOutput, which names the step, once an estimate or a latent is NaN or infinite.
    """
    num_calls = _num_calls(schedulers, state.latents)
    noise = draw_noise(state.latents, generators) if noise is None else noise
    _check_noise(noise, state.latents)
    release = plan_release(schedulers, state, noise)
    state = release.state.with_latents(
        release.hold(_started(schedulers, noise, state.latents.device), release.first)
    )
    if 0 < release.first < num_calls:
        for name in state.latents.modalities:
            schedulers[name].begin(release.first)
    for index in range(release.first, num_calls):
        if is_interrupted():
            break
        place = f"step {index + 1} of {num_calls}: "
        made = denoise(state.latents, state.time(_levels(schedulers, state, index)))
        clean = state.hold(finite_halves(made, "the denoiser", place=place))
        latents = _step(schedulers, state, clean, index=index, generators=generators)
        latents = finite_halves(latents, "the scheduler", place=place)
        state = state.with_latents(release.hold(latents, index + 1))
        if callback is not None:
            state = callback(index, state) or state
    return state


def _check_noise(noise: ClipLatents, latents: ClipLatents) -> None:
    got, expected = _shapes(noise), _shapes(latents)
    if got != expected:
        raise ValueError(f"the noise is {got} and the latents are {expected}; they must be alike")


def _started(
    schedulers: Mapping[Modality, MatchedScheduler], noise: ClipLatents, device: torch.device
) -> ClipLatents:
    """The noise at the level of the first call of a whole run."""
    return ClipLatents.of(
        {name: schedulers[name].start(half.float().to(device)) for name, half in noise.halves}
    )


def _levels(
    schedulers: Mapping[Modality, MatchedScheduler], state: LatentState, index: int
) -> ClipLatents:
    """The time of each half, one per row: b 1 1 1 1 and b 1 1 1."""
    return ClipLatents.of(
        {
            name: torch.full(
                (half.shape[0],) + (1,) * (half.ndim - 1),
                schedulers[name].times[index],
                device=half.device,
            )
            for name, half in state.latents.halves
        }
    )


def _step(
    schedulers: Mapping[Modality, MatchedScheduler],
    state: LatentState,
    clean: ClipLatents,
    *,
    index: int,
    generators: Sequence[torch.Generator],
) -> ClipLatents:
    estimates = dict(clean.halves)
    return ClipLatents.of(
        {
            name: schedulers[name].step(index, half, clean=estimates[name], generators=generators)
            for name, half in state.latents.halves
        }
    )


def _num_calls(schedulers: Mapping[Modality, MatchedScheduler], latents: ClipLatents) -> int:
    missing = [name for name in latents.modalities if name not in schedulers]
    if missing:
        raise ValueError(f"there are schedulers for {sorted(schedulers)}; {missing} needs one too")
    calls = {name: schedulers[name].num_calls for name in latents.modalities}
    if 0 in calls.values():
        raise ValueError(f"the schedulers make {calls} calls; run set_timesteps on each first")
    if len(set(calls.values())) > 1:
        raise ValueError(
            f"the schedulers call the model {calls} times; all halves are denoised in one call, so "
            "take schedulers of one kind and equal num_inference_steps (Heun calls about twice)"
        )
    return next(iter(calls.values()))


def _shapes(latents: ClipLatents) -> dict[Modality, tuple[int, ...]]:
    return {name: tuple(half.shape) for name, half in latents.halves}
