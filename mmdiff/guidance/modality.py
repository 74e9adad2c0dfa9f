"""Modality guidance: away from the prediction in which picture and sound do not see each other."""

from dataclasses import dataclass

from mmdiff.guidance.difference_guider import DifferenceGuider
from mmdiff.guidance.weaker import Weaker
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents


@dataclass(frozen=True)
class ModalityGuidance(DifferenceGuider):
    """x + w (x - x_apart): picture and sound follow each other more closely.

    It is what LTX-2 calls `modality_scale`, here with w = its scale - 1, so that 0 is off. A half
    that is given pulls the other towards it; a clip of one half alone has nothing to guide.
    """

    def weaken(self, strong: Weaker, negative_context: Context | None) -> Weaker:
        return strong.cut(view=True)

    def concerns(self, latents: ClipLatents) -> bool:
        return len(latents.modalities) == 2
