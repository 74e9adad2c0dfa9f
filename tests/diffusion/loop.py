"""The loop of the pipeline, for what is tested without one."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from mmdiff.diffusion.sampler import Sampler
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality


def draw_noise(like: ClipLatents, generators: Sequence[torch.Generator]) -> ClipLatents:
    """Unit noise, each row by its own generator."""
    return like.map(
        lambda half: torch.stack(
            [torch.randn(half.shape[1:], generator=one) for one in generators[: len(half)]]
        )
    )


def sample(
    denoise: Callable[[ClipLatents, ClipLatents], ClipLatents],
    schedulers: dict[Modality, MatchedScheduler],
    state: LatentState,
    generators: Sequence[torch.Generator],
    *,
    noise: ClipLatents | None = None,
) -> LatentState:
    """What comes of `noise` (drawn if it is None); the latents of `state` say its shape."""
    noise = draw_noise(state.latents, generators) if noise is None else noise
    sampler = Sampler(schedulers, replace(state, latents=noise))
    state = sampler.start
    for index in sampler.calls:
        clean = denoise(state.latents, sampler.time(index, state))
        state = sampler.step(index, state, clean, generators)
    return state
