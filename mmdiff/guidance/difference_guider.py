"""DifferenceGuider: a number of times the difference to a prediction of a weakened backbone."""

from abc import ABC
from dataclasses import dataclass

from torch import Tensor

from mmdiff.guidance.guider import Guider, Term
from mmdiff.guidance.moment import Moment
from mmdiff.guidance.strength import check_scale, scale_of
from mmdiff.values.latents import Modality


@dataclass(frozen=True)
class DifferenceGuider(Guider, ABC):
    """x + w (x - x_weak): what guiders have in common that weaken anything but the text.

    scale: w; 0 is off, and costs nothing.
    audio_scale: w for the sound; None takes `scale`.
    """

    scale: float = 1.0
    audio_scale: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scale("scale", self.scale)
        if self.audio_scale is not None:
            check_scale("audio_scale", self.audio_scale)

    def strength(self, modality: Modality) -> float:
        return scale_of(modality, self.scale, self.audio_scale)

    def term(self, strong: Tensor, weak: Tensor, *, weight: Tensor, moment: Moment) -> Term:
        return Term(weight * (strong - weak))
