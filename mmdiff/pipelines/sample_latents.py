"""Noise to clean latents: guidance, schedulers and the loop tied together."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import nn

from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.diffusion.noise_schedule import NoiseSchedule
from mmdiff.diffusion.parameterization import Parameterization
from mmdiff.diffusion.sampler import sample
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.guidance.energy_input import Decode
from mmdiff.guidance.guided_denoiser import GuidedDenoiser
from mmdiff.guidance.short_forms import Guidance
from mmdiff.values.context import Context
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality

# after each call: (its index, the state, the denoiser, to be changed in place)
# -> a state to go on with, or None
GuidedCallback = Callable[[int, LatentState, GuidedDenoiser], LatentState | None]


def matched_schedulers(
    scheduler: SchedulerMixin,
    audio_scheduler: SchedulerMixin | None = None,
    *,
    modalities: Sequence[Modality],
    noise_schedule: NoiseSchedule,
    num_inference_steps: int,
    **arguments: Any,
) -> dict[Modality, MatchedScheduler]:
    """One run of a scheduler for each modality, ready to step.

    audio_scheduler  None: the sound takes `scheduler` too
    arguments        `sigmas` or `timesteps`, for schedulers that take them
    """
    own = {"video": scheduler, "audio": audio_scheduler or scheduler}
    matched = {name: MatchedScheduler(own[name], noise_schedule) for name in modalities}
    for one in matched.values():
        one.set_timesteps(num_inference_steps, **arguments)
    return matched


def sample_latents(
    transformer: nn.Module,
    state: LatentState,
    generators: Sequence[torch.Generator],
    *,
    context: Context,
    negative_context: Context | None,
    guiders: Sequence[Guidance],
    schedulers: dict[Modality, MatchedScheduler],
    noise_schedule: NoiseSchedule,
    parameterization: Parameterization,
    decode: Decode | None = None,
    prompts: Sequence[str] | None = None,
    callback: GuidedCallback | None = None,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> ClipLatents:
    """Clean latents of unit variance, fp32.

    state             its latents are unit noise to start from; what it gives is kept
    generators        one a row, for schedulers that add noise
    negative_context  one a row; None where no guider asks for it
    schedulers        see `matched_schedulers`
    decode, prompts   for energies; prompts one a row
    """
    denoiser = Denoiser(transformer, noise_schedule, parameterization)
    guided = GuidedDenoiser(
        denoiser,
        context,
        negative_context=negative_context,
        guiders=guiders,
        noise_schedule=noise_schedule,
        decode=decode,
        prompts=prompts,
    )
    sampled = sample(
        guided,
        schedulers,
        state,
        generators,
        noise=state.latents,
        callback=callback and (lambda index, state: callback(index, state, guided)),
        is_interrupted=is_interrupted,
    )
    return sampled.latents
