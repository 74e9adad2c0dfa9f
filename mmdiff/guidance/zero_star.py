"""CFG-Zero*: classifier-free guidance with an optimised scale and a still first step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.guidance.guider import Term
from mmdiff.guidance.moment import Moment
from mmdiff.guidance.text_guider import TextGuider

# Beyond this time on the line from data to noise hardly anything of a clip is in the latents; a run
# that starts below it (partial noise) has something to go by in its first call.
NEARLY_NOISE = 0.9


@dataclass(frozen=True)
class ClassifierFreeZeroStar(TextGuider):
    """u + (s - 1) (u - r u_weak), with r = <u, u_weak> / |u_weak|^2 per sample and half
    (arXiv 2503.18886, equations 7 and 12), on the velocity u = eps - x_0 of the flow.

    A clean estimate x at latents y on the line from data to noise, at time t, has the velocity
    u = (y - x) / t. On clean estimates the formula is therefore
    x + (s - 1) (r (y - x_weak) - (y - x)): with r = 1 classifier-free guidance. Checkpoints of
    other noise schedules run along the same line once their latents are divided by alpha + sigma.

    zero_init_calls: first calls of a run, from noise, in which the velocity is 0, so that the clean
        estimate is y itself (section 4.2: while the model is less certain than that). A solver of
        two calls a step (Heun) is still for half of its first step with 1, and one that remembers
        estimates (DPM-Solver++, UniPC) takes the 0 into its second step.
    """

    zero_init_calls: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        calls = self.zero_init_calls
        if isinstance(calls, bool) or not isinstance(calls, int) or calls < 0:
            raise ValueError(
                f"zero_init_calls is {calls!r}; it must be a whole number from 0, and 0 is none"
            )

    def term(self, strong: Tensor, weak: Tensor, *, weight: Tensor, moment: Moment) -> Term:
        dims = tuple(range(1, strong.ndim))
        velocity, weaker = moment.velocity(strong), moment.velocity(weak)
        along = (velocity * weaker).sum(dims, keepdim=True)
        ratio = along / weaker.square().sum(dims, keepdim=True).clamp(min=1e-8)
        step = -moment.time * weight * (velocity - ratio * weaker)
        if moment.call >= self.zero_init_calls:
            return Term(step)
        is_noise = moment.time.amax(dims, keepdim=True) > NEARLY_NOISE
        return Term(torch.where(is_noise, (moment.on_line - strong) * (weight != 0), step))
