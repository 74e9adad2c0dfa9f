"""Schedulers for a call: one run for each modality."""

from collections.abc import Sequence
from typing import Any

from diffusers.schedulers.scheduling_utils import SchedulerMixin

from mmdiff.diffusion.noise_schedule import NoiseSchedule
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.values.latents import Modality


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
