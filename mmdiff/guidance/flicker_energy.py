"""Flicker energy: what comes and goes from frame to frame, motion apart."""

from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor

from mmdiff.guidance.energy import Energy
from mmdiff.guidance.energy_input import EnergyInput
from mmdiff.media.optical_flow import estimate_flow, warp
from mmdiff.values.latents import ClipLatents, Modality


@dataclass(frozen=True)
class FlickerEnergy(Energy):
    """Mean square of the second difference in time, after warping by the estimated motion.

    The motion is estimated on the decoded estimate itself and held fixed: what is warped onto a
    frame is where the motion says that it came from and goes to, so that moving on costs nothing.
    A clip of fewer than three frames has no second difference, and no energy.
    """

    scale: float = 0.1

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("video",)

    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        frames = inputs.frames(clean)
        if frames.shape[2] < 3:
            return frames.new_zeros(len(frames))
        still = frames.detach()
        middle = _pictures(still[:, :, 1:-1])
        # at half the size: the estimate of the motion is most of what this energy costs
        to_before, to_after = (
            estimate_flow(middle, _pictures(other), levels_left_out=1)
            for other in (still[:, :, :-2], still[:, :, 2:])
        )
        return warped_flicker(frames, to_before, to_after)


def warped_flicker(frames: Tensor, to_before: Tensor, to_after: Tensor) -> Tensor:
    """Of each clip, the mean square of before - 2 x middle + after along the motion: b.

    frames               b 3 frames height width
    to_before, to_after  (b frames-2) 2 height width: where each pixel of a middle frame was and
                         will be, in pixels from where it is
    """
    before = warp(_pictures(frames[:, :, :-2]), to_before)
    after = warp(_pictures(frames[:, :, 2:]), to_after)
    difference = before - 2 * _pictures(frames[:, :, 1:-1]) + after
    return reduce(difference.square(), "(b f) c h w -> b", torch.mean, b=len(frames))


def _pictures(frames: Tensor) -> Tensor:
    return rearrange(frames, "b c f h w -> (b f) c h w")
