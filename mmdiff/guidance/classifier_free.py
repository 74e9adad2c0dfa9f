"""Classifier-free guidance: away from what the negative (or empty) prompt would give."""

from dataclasses import dataclass

from torch import Tensor

from mmdiff.guidance.guider import Term
from mmdiff.guidance.moment import Moment
from mmdiff.guidance.text_guider import TextGuider


@dataclass(frozen=True)
class ClassifierFree(TextGuider):
    """x + (s - 1) (x - x_weak) (arXiv 2207.12598); the same on the clean estimate and on what the
    backbone predicts, since the one is linear in the other.

    guidance_rescale: 0 to 1, how far the standard deviation of each sample is brought back to the
        one without guidance (arXiv 2305.08891, section 3.4), of the clean estimate.
    """

    guidance_rescale: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.guidance_rescale <= 1:
            raise ValueError(f"guidance_rescale is {self.guidance_rescale}; it goes from 0 to 1")

    def term(self, strong: Tensor, weak: Tensor, *, weight: Tensor, moment: Moment) -> Term:
        step = weight * (strong - weak)
        if self.guidance_rescale == 0:
            return Term(step)
        guided = strong + step
        dims = tuple(range(1, strong.ndim))
        ratio = strong.std(dims, keepdim=True) / guided.std(dims, keepdim=True).clamp(min=1e-12)
        factor = 1 + self.guidance_rescale * (ratio - 1)
        return Term((factor * guided - strong) * (weight != 0))
