"""Text guiders: away from what the negative (or empty) prompt would give."""

from abc import ABC
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mmdiff.guidance.guider import Guider, Prediction, StepContext
from mmdiff.values.checks import check_number, check_sizes
from mmdiff.values.context import Context
from mmdiff.values.latents import Modality

# Beyond this time on the line from data to noise hardly anything of a clip is in the latents; a run
# that starts below it (partial noise) has something to go by in its first call.
NEARLY_NOISE = 0.9


@dataclass(frozen=True)
class TextGuider(Guider, ABC):
    """What guiders that perturb the text have in common; they share one pass.

    guidance_scale: s in x_perturbed + s (x - x_perturbed); 1 is the prediction itself, and costs
        nothing.
    audio_guidance_scale: s of the audio; None takes `guidance_scale`.
    """

    guidance_scale: float = 4.0
    audio_guidance_scale: float | None = None

    def scale_of(self, modality: Modality) -> float:
        own = self.audio_guidance_scale if modality == "audio" else None
        return (self.guidance_scale if own is None else own) - 1

    def perturbed(self, conditional: Prediction, negative_context: Context | None) -> Prediction:
        if negative_context is None:  # a callback turned guidance on in the middle of a run
            raise ValueError(
                "guidance by text needs a negative context: encode the negative prompt or the "
                "empty one"
            )
        return replace(conditional, context=negative_context)


@dataclass(frozen=True)
class ClassifierFree(TextGuider):
    """x + (s - 1) (x - x_perturbed) (arXiv 2207.12598); the same on the clean estimate and on what
    the backbone predicts, since the one is linear in the other.

    guidance_rescale: 0 to 1, how far the standard deviation of each sample is brought back to the
        one without guidance (arXiv 2305.08891, section 3.4), of the clean estimate.
    """

    guidance_rescale: float = 0.0

    def term(
        self, conditional: Tensor, perturbed: Tensor, *, weight: Tensor, step: StepContext
    ) -> Tensor:
        difference = weight * (conditional - perturbed)
        if self.guidance_rescale == 0:
            return difference
        guided = conditional + difference
        dims = tuple(range(1, conditional.ndim))
        deviation = guided.std(dims, keepdim=True).clamp(min=1e-12)
        ratio = conditional.std(dims, keepdim=True) / deviation
        factor = 1 + self.guidance_rescale * (ratio - 1)
        return (factor * guided - conditional) * (weight != 0)


@dataclass(frozen=True)
class Projected(TextGuider):
    """x + (s - 1) d, where d is x - x_perturbed, damped along x (APG, arXiv 2410.02416, algorithm
    1): high scales without oversaturation.

    eta: how much of the part of d parallel to x is kept; that part raises saturation.
    norm_threshold: longest d per sample; 0 leaves it as it is.
    momentum: of the differences of the calls before; negative pushes away from them, 0 is none.
    With eta 1, norm_threshold 0 and momentum 0 it is classifier-free guidance.
    """

    eta: float = 0.0
    norm_threshold: float = 15.0
    momentum: float = -0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("norm_threshold", self.norm_threshold, lowest=0)
        if not -1 < self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; it must be between -1 and 1: -0.5")

    def term(
        self, conditional: Tensor, perturbed: Tensor, *, weight: Tensor, step: StepContext
    ) -> Tensor:
        difference = conditional - perturbed
        if "difference" in step.memory:
            difference = difference + self.momentum * step.memory["difference"]
        step.memory["difference"] = difference
        dims = tuple(range(1, conditional.ndim))
        if self.norm_threshold > 0:
            length = torch.linalg.vector_norm(difference, dim=dims, keepdim=True).clamp(min=1e-12)
            difference = difference * (self.norm_threshold / length).clamp(max=1)
        along = torch.linalg.vector_norm(conditional, dim=dims, keepdim=True).clamp(min=1e-12)
        direction = conditional / along
        parallel = (difference * direction).sum(dims, keepdim=True) * direction
        return weight * (difference - (1 - self.eta) * parallel)


@dataclass(frozen=True)
class ClassifierFreeZeroStar(TextGuider):
    """CFG-Zero*: u + (s - 1) (u - r u_perturbed), r = <u, u_perturbed> / |u_perturbed|^2 per sample
    and modality (arXiv 2503.18886, equations 7 and 12), on the velocity u = eps - x_0 of the flow.

    A clean estimate x at latents y on the line from data to noise, at time t, has the velocity
    u = (y - x) / t. On clean estimates the formula is therefore
    x + (s - 1) (r (y - x_perturbed) - (y - x)): with r = 1 classifier-free guidance.

    zero_init_calls: first calls of a run, from noise, in which the velocity is 0, so that the clean
        estimate is y itself (section 4.2: while the model is less certain than that). A solver of
        two calls a step (Heun) is still for half of its first step with 1, and one that remembers
        estimates (DPM-Solver++, UniPC) takes the 0 into its second step.
    """

    zero_init_calls: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(least=0, zero_init_calls=self.zero_init_calls)

    def term(
        self, conditional: Tensor, perturbed: Tensor, *, weight: Tensor, step: StepContext
    ) -> Tensor:
        dims = tuple(range(1, conditional.ndim))
        noisy, time = step.on_line()
        velocity, other = (
            torch.where(time > 0, (noisy - clean) / time.clamp(min=1e-12), 0.0)
            for clean in (conditional, perturbed)
        )
        along = (velocity * other).sum(dims, keepdim=True)
        ratio = along / other.square().sum(dims, keepdim=True).clamp(min=1e-8)
        value = -time * weight * (velocity - ratio * other)
        if step.call >= self.zero_init_calls:
            return value
        is_noise = time.amax(dims, keepdim=True) > NEARLY_NOISE
        return torch.where(is_noise, (noisy - conditional) * (weight != 0), value)
