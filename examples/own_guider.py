"""A guider of one's own, in one class: python examples/own_guider.py [FILE.mp4]"""

import sys
from dataclasses import dataclass, replace

import torch

from mmdiff import MMDiffPipeline
from mmdiff.guidance.guider import DifferenceGuider, Prediction
from mmdiff.values.context import Context


@dataclass(frozen=True)
class Apart(DifferenceGuider):
    """Away from a prediction in which no frame sees another, and video and audio do not see each
    other."""

    def perturbed(self, conditional: Prediction, negative_context: Context | None) -> Prediction:
        return replace(conditional, without_time=True, without_view=True)


pipe = MMDiffPipeline.from_pretrained()
out = pipe(
    "a large blue square falling and bouncing slowly on a gray background, "
    "a low ping at each bounce",
    guidance=[Apart(0.5, interval=(0.3, 1.0))],
    generator=torch.Generator().manual_seed(0),
)
out.clips[0].save(sys.argv[1] if len(sys.argv) > 1 else "apart.mp4")
