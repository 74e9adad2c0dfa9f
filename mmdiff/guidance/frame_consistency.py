"""Frame consistency: frames that belong together, in three forms behind one name."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from einops import rearrange, reduce
from torch import Tensor

from mmdiff.guidance.backbone_guiders import FrameDifference
from mmdiff.guidance.energy import Energy, EnergyInput
from mmdiff.guidance.guider import Guider, Schedule
from mmdiff.media.optical_flow import estimate_flow, warp
from mmdiff.values.checks import check_weights
from mmdiff.values.latents import ClipLatents

Form = Literal["latent", "difference", "energy"]


@dataclass(frozen=True)
class FrameConsistency:
    """What `guider()` is, by its form: a measure of flicker to go down, or unrelated frames to go
    away from.

    form: "latent", down the slope of `LatentFlicker`; hardly any cost.
        "difference", away from the prediction of unrelated frames: `FrameDifference`.
        "energy", down the slope of `FlickerEnergy`.
        The forms by an energy leave out the noisier times, as energies do by default.
    audio_scale: of the difference; the audio is left as it is by default, None takes `scale`.
    """

    scale: float = 1.0
    audio_scale: float | None = 0.0
    form: Form = "latent"
    interval: tuple[float, float] = field(default=(0.0, 1.0), kw_only=True)
    schedule: Schedule = field(default="constant", kw_only=True)

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            known = ", ".join(map(repr, get_args(Form)))
            raise ValueError(f"form is {self.form!r}; it must be one of {known}")
        self.guider()

    def guider(self) -> Guider | Energy:
        """The guider or the energy of this form."""
        difference = FrameDifference(
            self.scale, self.audio_scale, interval=self.interval, schedule=self.schedule
        )
        if self.form == "difference":
            return difference
        energy = LatentFlicker if self.form == "latent" else FlickerEnergy
        (first, last), latest = self.interval, energy().interval[1]
        interval = first, max(first, min(last, latest))
        return energy(self.scale, interval=interval, schedule=self.schedule)


@dataclass(frozen=True)
class FlickerEnergy(Energy):
    """Mean square of the second difference in time of the decoded frames, after warping by the
    estimated motion.

    The motion is estimated on the decoded estimate itself and held fixed: what is warped onto a
    frame is where the motion says that it came from and goes to, so that moving on costs nothing.
    A clip of fewer than three frames has no second difference, and no energy.
    """

    scale: float = 0.1

    modalities = ("video",)

    def applies_to(self, latents: ClipLatents) -> bool:
        return latents.video is not None and latents.video.shape[2] > 1

    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        frames = inputs.frames(clean)
        if frames.shape[2] < 3:
            return frames.new_zeros(len(frames))
        before, middle, after = _in_threes(frames.detach())
        # at half the size: the estimate of the motion is most of what this energy costs
        to_before = estimate_flow(middle, before, levels_left_out=1)
        to_after = estimate_flow(middle, after, levels_left_out=1)
        return warped_flicker(frames, to_before, to_after)


def warped_flicker(frames: Tensor, to_before: Tensor, to_after: Tensor) -> Tensor:
    """Of each clip, the mean square of before - 2 x middle + after along the motion: b.

    frames               b 3 frames height width
    to_before, to_after  (b frames-2) 2 height width: where each pixel of a middle frame was and
                         will be, in pixels from where it is
    """
    before, middle, after = _in_threes(frames)
    difference = warp(before, to_before) - 2 * middle + warp(after, to_after)
    return reduce(difference.square(), "(b f) c h w -> b", torch.mean, b=len(frames))


def _in_threes(frames: Tensor) -> list[Tensor]:
    """What stands before each frame but the first and last, these frames, and what follows."""
    threes = frames[:, :, :-2], frames[:, :, 1:-1], frames[:, :, 2:]
    return [rearrange(one, "b c f h w -> (b f) c h w") for one in threes]


@dataclass(frozen=True)
class LatentFlicker(Energy):
    """Robust differences between neighbours in time, of the latents themselves.

    E(x) = sum over neighbours f, g in time and over sites of  s^2 (1 - exp(-d^2 / 2 s^2)),  d the
    root mean square over channels of x_f - x_g (Welsch's function). Differences well below s are
    noise and are drawn together; those well above it are something that moves, and cost the same
    however large they are, so that nothing is slowed down. It needs no decoding and no other
    prediction: it costs next to nothing.

    scale: v, how many times each latent goes to the weighted mean of itself and its neighbours,
        which is where the slope leads (iteratively reweighted least squares, and a bilateral
        filter in time): 0.5 goes half of the way, 3 goes three times.
    width: s, in standard deviations of the latents.
    """

    scale: float = 1.0
    width: float = 0.3

    modalities = ("video",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_weights(above=True, width=self.width)

    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        assert clean.video is not None
        steps = clean.video[:, :, 1:] - clean.video[:, :, :-1]
        return self.width**2 * (1 - self._likeness(steps)).sum(dim=(1, 2, 3, 4))

    def slope(self, clean: ClipLatents, inputs: EnergyInput) -> ClipLatents:
        """x minus where it gets to: down the slope of E by the length that its curvature asks for,
        one time for every whole number in v, and a part of the way for the rest."""
        slopes = clean.map(torch.zeros_like)
        video, time = clean.video, inputs.time.video
        if video is None or time is None or video.shape[2] < 2:
            return slopes
        weight = self.weight("video", time)
        steadier = video
        for gone in range(math.ceil(float(weight.max()))):
            part = (weight - gone).clamp(0, 1)
            steadier = steadier + part * (self._mean(steadier) - steadier)
        return slopes.replace("video", video - steadier)

    def _mean(self, video: Tensor) -> Tensor:
        """Of each latent and its two neighbours in time, weighted by their likeness."""
        steps = video[:, :, 1:] - video[:, :, :-1]
        likeness = self._likeness(steps)  # b 1 f-1 h w
        none = torch.zeros_like(likeness[:, :, :1])
        before = torch.cat([none, likeness], dim=2)
        after = torch.cat([likeness, none], dim=2)
        edge = torch.zeros_like(video[:, :, :1])
        pulled = after * torch.cat([steps, edge], dim=2) - before * torch.cat([edge, steps], dim=2)
        return video + pulled / (1 + before + after)

    def _likeness(self, steps: Tensor) -> Tensor:
        distance = steps.square().mean(dim=1, keepdim=True)
        return torch.exp(-distance / (2 * self.width**2))
