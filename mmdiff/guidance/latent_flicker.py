"""Latent flicker: what trembles from latent frame to latent frame where nothing happens."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.guidance.energy import Energy
from mmdiff.guidance.energy_input import EnergyInput
from mmdiff.values.latents import ClipLatents, Modality


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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.width) and self.width > 0):
            raise ValueError(
                f"width is {self.width}; it must be above 0, in standard deviations of the "
                "latents: 0.3"
            )

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return ("video",)

    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        assert clean.video is not None
        steps = clean.video[:, :, 1:] - clean.video[:, :, :-1]
        robust = 1 - self._likeness(steps)
        return self.width**2 * robust.sum(dim=(1, 2, 3, 4))

    def slope(self, clean: ClipLatents, inputs: EnergyInput) -> ClipLatents:
        """x minus where it gets to: down the slope of E by the length that its curvature asks for,
        one time for every whole number in v, and a part of the way for the rest."""
        slopes = clean.map(torch.zeros_like)
        video, level = clean.video, inputs.time.video
        if video is None or level is None or video.shape[2] < 2:
            return slopes
        weight = self.weight("video", level)
        if not bool(weight.any()):
            return slopes
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
