"""What some schedulers of diffusers lack to be right on levels of any spacing, from any call on."""

import math
from fractions import Fraction
from functools import partial
from typing import Any

from diffusers import DDIMScheduler, PNDMScheduler

from mmdiff.diffusion.scheduler_families import LMSDiscreteScheduler

LMS_ORDER = 4


def repair(scheduler: Any) -> None:
    """Once for every scheduler of ours, which must be a copy."""
    if hasattr(scheduler, "is_scale_input_called"):
        scheduler.is_scale_input_called = True  # `MatchedScheduler` scales
    if isinstance(scheduler, LMSDiscreteScheduler):
        scheduler.get_lms_coefficient = partial(_lms_coefficient, scheduler)


def prepare(scheduler: Any, index: int, *, first_call: int) -> dict[str, Any]:
    """Before call `index` of a run that began at `first_call`.

    Returns further arguments for `step`.
    """
    if isinstance(scheduler, LMSDiscreteScheduler):
        # it counts its history from the first level and not from the first call
        return {"order": min(index - first_call + 1, LMS_ORDER)}
    if isinstance(scheduler, PNDMScheduler):
        if first_call and index > first_call:
            # a run from the middle goes on from its first call, and does not repeat it
            scheduler.counter = max(scheduler.counter, 2)
        _stride(scheduler, index=0 if scheduler.counter == 1 else index)
    if isinstance(scheduler, DDIMScheduler):
        _stride(scheduler, index=index)
    return {}


def _stride(scheduler: Any, *, index: int) -> None:
    # These go down by num_train_timesteps // num_inference_steps, whatever their next timestep
    # is; this makes the quotient exactly the distance to the next one (to -1 at the end).
    timesteps = [*scheduler.timesteps.tolist(), -1]
    distance = timesteps[index] - timesteps[index + 1]
    scheduler.num_inference_steps = Fraction(scheduler.config.num_train_timesteps, distance)


def _lms_coefficient(scheduler: Any, order: int, index: int, of: int) -> float:
    """Integral of a Lagrange polynomial over a step: by two points, exact up to the third degree,
    where diffusers asks scipy for a quadrature within 1e-4."""
    sigmas = scheduler.sigmas.tolist()
    nodes = [sigmas[index - k] for k in range(order)]
    middle, half = (sigmas[index + 1] + sigmas[index]) / 2, (sigmas[index + 1] - sigmas[index]) / 2
    points = (middle - half / math.sqrt(3), middle + half / math.sqrt(3))
    others = [node for k, node in enumerate(nodes) if k != of]
    return half * sum(
        math.prod((point - node) / (nodes[of] - node) for node in others) for point in points
    )
