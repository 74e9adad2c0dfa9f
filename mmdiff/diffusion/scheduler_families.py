"""The schedulers of diffusers that can be matched: how each writes x = a x_0 + s eps, where its
levels lie, and what it wants to be told. Everything here reads a scheduler and changes nothing."""

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
    PNDMScheduler,
    SASolverScheduler,
    TCDScheduler,
    UniPCMultistepScheduler,
)

# `diffusers.LMSDiscreteScheduler` is a placeholder where scipy is missing, which it needs for
# nothing that is not repaired here
from diffusers.schedulers.scheduling_lms_discrete import LMSDiscreteScheduler
from torch import Tensor

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
    LMSDiscreteScheduler,
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
    PNDMScheduler,
    LCMScheduler,
    TCDScheduler,
)
SUPPORTED = FLOW + VARIANCE_EXPLODING + VARIANCE_PRESERVING + TABLED

# these do not take a clean estimate (or, Heun, are left as they were)
_TAKE_NOISE = (EulerAncestralDiscreteScheduler, HeunDiscreteScheduler, PNDMScheduler)
# two calls a step, of which the second goes on from where the first did
_TWO_CALLS = (FlowMatchHeunDiscreteScheduler, HeunDiscreteScheduler)
_REFUSED = {
    "DPMSolverSDEScheduler": "its noise comes from a tree with a seed of its own and not from the "
    "generators of the rows. Take DPMSolverMultistepScheduler(algorithm_type='sde-dpmsolver++')",
}

Prediction = Literal["sample", "epsilon", "velocity"]


def prediction(scheduler: Any) -> Prediction:
    """What `step` wants: x_0, eps, or the velocity eps - x_0."""
    if isinstance(scheduler, FLOW):
        return "velocity"
    return "epsilon" if isinstance(scheduler, _TAKE_NOISE) else "sample"


def levels(scheduler: Any) -> Tensor:
    """(a, s) before each call and after the last: calls + 1 by 2, float64.

    scheduler: after `set_timesteps`.
    """
    if isinstance(scheduler, TABLED):
        kept = scheduler.alphas_cumprod.double()[scheduler.timesteps.cpu()]
        kept = torch.cat([kept, _last_kept(scheduler).double()[None]])
        return torch.stack([kept.sqrt(), (1 - kept).sqrt()], dim=1)
    sigmas = scheduler.sigmas.double().cpu()[: len(scheduler.timesteps) + 1]
    if isinstance(scheduler, FLOW) or scheduler.config.get("use_flow_sigmas", False):
        return torch.stack([1 - sigmas, sigmas], dim=1)
    if isinstance(scheduler, VARIANCE_EXPLODING):
        return torch.stack([torch.ones_like(sigmas), sigmas], dim=1)
    alphas = (1 + sigmas**2).rsqrt()
    return torch.stack([alphas, sigmas * alphas], dim=1)


def resting_calls(scheduler: Any) -> list[int]:
    """The calls before which the sample is where the solver left it, so that a run can start there.

    Not so between the two calls of a step: the second goes on from the sample before the first.
    """
    calls = range(len(scheduler.timesteps))
    if isinstance(scheduler, _TWO_CALLS):
        return list(calls[::2])
    if isinstance(scheduler, PNDMScheduler):  # only its first step takes two
        return [index for index in calls if index != 1]
    return list(calls)


def check(scheduler: Any) -> None:
    """Raises ValueError, with the cure, for a scheduler that cannot be matched."""
    name = type(scheduler).__name__
    if name in _REFUSED:
        raise ValueError(f"scheduler is {name}; {_REFUSED[name]}")
    if not isinstance(scheduler, SUPPORTED):
        raise ValueError(
            f"scheduler is {name}; its noise levels are not known here. Possible are "
            f"{', '.join(kind.__name__ for kind in SUPPORTED)}"
        )
    for reason in _faults(scheduler.config, name):
        raise ValueError(reason)


def _faults(config: Any, name: str) -> list[str]:
    faults = []
    if config.get("invert_sigmas", False):
        faults.append(f"{name} has invert_sigmas=True, where 1 is clean; set it to False")
    if str(config.get("variance_type")).startswith("learned"):
        faults.append(
            f"{name} has variance_type={config['variance_type']!r}, which no backbone "
            "here predicts; set it to 'fixed_small'"
        )
    if config.get("stochastic_sampling", False):
        faults.append(
            f"{name} has stochastic_sampling=True, which noises the clean estimate anew: right for "
            "a distilled checkpoint, up to 30 % too little variance from any other. Take "
            "FlowMatchLCMScheduler for the one, and for the other "
            "DPMSolverMultistepScheduler(algorithm_type='sde-dpmsolver++', use_flow_sigmas=True)"
        )
    if config.get("scale_factors"):
        faults.append(f"{name} has scale_factors, which change the shape; set it to None")
    if config.get("algorithm_type") == "noise_prediction":
        faults.append(
            f"{name} has algorithm_type='noise_prediction', which diverges at 16 steps and fewer; "
            "set it to 'data_prediction'"
        )
    if name == "DPMSolverSinglestepScheduler" and config.algorithm_type == "sde-dpmsolver++":
        faults.append(
            f"{name} has algorithm_type='sde-dpmsolver++', whose calls of a step draw unrelated "
            "noise: 10 % too little spread at 50 steps. Take DPMSolverMultistepScheduler with it"
        )
    if name == "PNDMScheduler" and not config.skip_prk_steps:
        faults.append(
            f"{name} has skip_prk_steps=False, whose start is not defined for every number of "
            "steps; set it to True"
        )
    return faults


def _last_kept(scheduler: Any) -> Tensor:
    """a^2 after the last call."""
    if isinstance(scheduler, TCDScheduler):  # goes to timestep 0, whatever `set_alpha_to_one`
        return scheduler.alphas_cumprod[0]
    if isinstance(scheduler, LCMScheduler):
        return torch.ones(())
    return getattr(scheduler, "final_alpha_cumprod", torch.ones(()))
