"""Energy: a measure of the clean estimate that guidance goes down the slope of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mmdiff.guidance.energy_input import EnergyInput
from mmdiff.guidance.strength import (
    Schedule,
    check_interval,
    check_scale,
    check_schedule,
    over_time,
    scale_of,
)
from mmdiff.values.latents import ClipLatents, Modality

ROWS_AT_ONCE = 4
"""Clips whose decoding is kept in memory for the way back; rows do not depend on each other."""


@dataclass(frozen=True)
class Energy(ABC):
    """E(x) of the clean estimate x; guidance subtracts `slope`.

    scale: v, how far to go, in standard deviations of the estimate: see `slope`; 0 is off, and
        costs nothing.
    audio_scale: v for the sound; None takes `scale`.
    interval: noise times within which it guides (arXiv 2404.07724). By default the cleaner ones: a
        clip that is mostly noise decodes to a blur that has hardly a slope, at the same cost; the
        bundled model moves nine tenths as far without that part, in half the time.
    schedule: how its scale changes over noise time: see `strength.over_time`.
    """

    scale: float = 0.0
    audio_scale: float | None = field(default=None, kw_only=True)
    interval: tuple[float, float] = field(default=(0.0, 0.6), kw_only=True)
    schedule: Schedule = field(default="constant", kw_only=True)

    def __post_init__(self) -> None:
        check_scale("scale", self.scale)
        if self.audio_scale is not None:
            check_scale("audio_scale", self.audio_scale)
        check_interval(self.interval)
        check_schedule(self.schedule)

    @property
    @abstractmethod
    def modalities(self) -> tuple[Modality, ...]:
        """The halves that E depends on."""

    @abstractmethod
    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        """E of each row: b; lower is better, differentiable in `clean`, of each row by itself."""

    def concerns(self, latents: ClipLatents) -> bool:
        """Whether there is anything to measure in such clips: all halves that E depends on."""
        return set(self.modalities) <= set(latents.modalities)

    def weight(self, modality: Modality, level: Tensor) -> Tensor:
        """v with its schedule, 0 where it does not guide; of the shape of `level`, noise times."""
        if modality not in self.modalities:
            return torch.zeros_like(level)
        factor = over_time(level, interval=self.interval, schedule=self.schedule)
        return scale_of(modality, self.scale, self.audio_scale) * factor

    def slope(self, clean: ClipLatents, inputs: EnergyInput) -> ClipLatents:
        """What to subtract from the clean estimate: v(t) r(t) std(x) g / rms(g), g = grad E(x).

        Normalised per row and half, since energies come in units of their own: with v = 0.1 the
        estimate moves by a tenth of its standard deviation where r is 1. r(t) is
        `posterior_deviation`: how much of x is still open at time t, so that what is settled stays.
        g is by the estimate itself, not through the backbone, as in manifold-preserving guidance
        (arXiv 2311.16424): one decoding forth and back, and no step off what the backbone makes.

        Exactly 0 where the weight is, and where E has no slope.
        """
        weights = ClipLatents.of(
            {name: self.weight(name, level) for name, level in inputs.time.halves}
        )
        slopes = clean.map(torch.zeros_like)
        asked = tuple(name for name, half in weights.halves if bool(half.any()))
        if not asked or not self.concerns(clean):
            return slopes
        parts = [
            self._gradients(clean[rows], inputs[rows], asked=asked)
            for rows in _row_groups(clean.batch_size)
        ]
        gradients = dict(ClipLatents.cat(parts).halves)
        for name, half in clean.halves:
            if name in gradients:
                weight, level = weights.get(name), inputs.time.get(name)
                assert weight is not None and level is not None
                step = _normalised(gradients[name], half)
                slopes = slopes.replace(name, weight * posterior_deviation(level) * step)
        return slopes

    def _gradients(
        self, clean: ClipLatents, inputs: EnergyInput, *, asked: tuple[Modality, ...]
    ) -> ClipLatents:
        """grad E by the halves that are asked for."""
        with torch.enable_grad():
            leaves = clean.map(lambda half: half.detach().clone())
            wanted = [half.requires_grad_() for name, half in leaves.halves if name in asked]
            energy = self.energy(leaves, inputs)
            if not energy.requires_grad:
                gradients = [torch.zeros_like(half) for half in wanted]
            else:
                gradients = list(torch.autograd.grad(energy.sum(), wanted, materialize_grads=True))
        return ClipLatents.of(dict(zip(asked, gradients, strict=True)))


def posterior_deviation(time: Tensor) -> Tensor:
    """r(t) = t / sqrt(t^2 + (1 - t)^2): standard deviation of a clean value given a noisy one.

    Exact for data of unit variance on the straight line between data and noise (Pi-GDM, Song et
    al. 2023, section 3.2: r^2 = sigma^2 / (1 + sigma^2)); 1 in pure noise, 0 in clean latents.
    """
    return time / (time.square() + (1 - time).square()).sqrt()


def _normalised(gradient: Tensor, clean: Tensor) -> Tensor:
    """The gradient with the standard deviation of each row of `clean` as root mean square."""
    dims = tuple(range(1, clean.ndim))
    length = gradient.square().mean(dims, keepdim=True).sqrt()
    deviation = clean.std(dims, keepdim=True)
    return torch.where(
        length > 0, deviation * gradient / length.clamp(min=1e-30), torch.zeros_like(gradient)
    )


def _row_groups(batch_size: int) -> list[slice]:
    return [slice(row, row + ROWS_AT_ONCE) for row in range(0, batch_size, ROWS_AT_ONCE)]
