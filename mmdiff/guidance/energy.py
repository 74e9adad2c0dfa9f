"""Energy: a measure of the clean estimate that guidance goes down the slope of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from mmdiff.guidance.guider import Schedule, check_guidance, over_time
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import LatentGrid

ROWS_AT_ONCE = 4
"""Clips whose decoding is kept in memory for the way back; rows do not depend on each other."""


class Decode(Protocol):
    """Clean latents to media on their device, with gradient: frames b 3 frames height width, about
    [-1, 1], and log-mels b 1 mel_frames mel_bins that begin with the first frame: no pre-roll."""

    @property
    def grid(self) -> LatentGrid: ...

    def __call__(self, latents: ClipLatents) -> ClipLatents: ...

    def waveform(self, log_mel: Tensor) -> Tensor:
        """Samples b samples in [-1, 1] of log-mels as above."""
        ...


@dataclass(frozen=True)
class EnergyInput:
    """Where the run is, and what the clips are about.

    time     t per token, broadcastable to the latents; 0 where a token is conditioned
    decode   None where nothing can decode
    prompts  one a row; None where the words are not known, as with prompt embeddings
    """

    time: ClipLatents
    decode: Decode | None = None
    prompts: Sequence[str] | None = None

    def __getitem__(self, rows: slice) -> EnergyInput:
        prompts = None if self.prompts is None else self.prompts[rows]
        return EnergyInput(self.time[rows], self.decode, prompts)

    @property
    def decoder(self) -> Decode:
        assert self.decode is not None, "energies look at decoded clips: decode is missing"
        return self.decode

    def frames(self, clean: ClipLatents) -> Tensor:
        """b 3 frames height width, about [-1, 1]."""
        frames = self.decoder(ClipLatents(video=clean.video)).video
        assert frames is not None
        return frames

    def log_mel(self, clean: ClipLatents) -> Tensor:
        """b 1 mel_frames mel_bins, 1 is loud and -1 silence."""
        log_mel = self.decoder(ClipLatents(audio=clean.audio)).audio
        assert log_mel is not None
        return log_mel


@dataclass(frozen=True)
class Energy(ABC):
    """E(x) of the clean estimate x; guidance subtracts `slope`.

    scale: v, how far to go, in standard deviations of the estimate: see `slope`; 0 is off, and
        costs nothing.
    audio_scale: v of the audio; None takes `scale`.
    interval: times within which it guides (arXiv 2404.07724). By default the cleaner ones: a clip
        that is mostly noise decodes to a blur that has hardly a slope, at the same cost; the
        bundled model moves nine tenths as far without that part, in half the time.
    schedule: how its scale changes over time: see `guider.over_time`.
    """

    scale: float = 0.0
    audio_scale: float | None = field(default=None, kw_only=True)
    interval: tuple[float, float] = field(default=(0.0, 0.6), kw_only=True)
    schedule: Schedule = field(default="constant", kw_only=True)

    def __post_init__(self) -> None:
        check_guidance(self)

    @property
    @abstractmethod
    def modalities(self) -> tuple[Modality, ...]:
        """Those that E depends on."""

    @abstractmethod
    def energy(self, clean: ClipLatents, inputs: EnergyInput) -> Tensor:
        """E of each row: b; lower is better, differentiable in `clean`, of each row by itself."""

    def applies_to(self, latents: ClipLatents) -> bool:
        """Whether there is anything to measure in such clips."""
        return set(self.modalities) <= set(latents.modalities)

    def weight(self, modality: Modality, time: Tensor) -> Tensor:
        """v with its schedule, 0 where it does not guide; of the shape of `time`."""
        if modality not in self.modalities:
            return torch.zeros_like(time)
        own = self.audio_scale if modality == "audio" else None
        scale = self.scale if own is None else own
        return scale * over_time(time, self.interval, self.schedule)

    def slope(self, clean: ClipLatents, inputs: EnergyInput) -> ClipLatents:
        """What to subtract from the clean estimate: v(t) r(t) std(x) g / rms(g), g = grad E(x).

        Normalised per row and modality, since energies come in units of their own: with v = 0.1 the
        estimate moves by a tenth of its standard deviation where r is 1. r(t) is
        `posterior_deviation`: how much of x is still open at time t, so that what is settled stays.
        g is by the estimate itself, not through the backbone, as in manifold-preserving guidance
        (arXiv 2311.16424): one decoding forth and back, and no step off what the backbone makes.

        Exactly 0 where the weight is, and where E has no slope.
        """
        times = dict(inputs.time.items())
        weights = {name: self.weight(name, time) for name, time in times.items()}
        wanted = [name for name, weight in weights.items() if bool(weight.any())]
        slopes = clean.map(torch.zeros_like)
        if not wanted or not self.applies_to(clean):
            return slopes
        groups = [
            slice(row, row + ROWS_AT_ONCE) for row in range(0, clean.batch_size, ROWS_AT_ONCE)
        ]
        gradients = ClipLatents.cat(
            [self.gradient(clean[rows], inputs[rows], wanted) for rows in groups]
        )
        estimates = dict(clean.items())
        for name, gradient in gradients.items():
            factor = weights[name] * posterior_deviation(times[name])
            slopes = slopes.replace(name, factor * _normalised(gradient, estimates[name]))
        return slopes

    def gradient(
        self, clean: ClipLatents, inputs: EnergyInput, wanted: Sequence[Modality]
    ) -> ClipLatents:
        """grad E by the latents of the modalities that are wanted."""
        with torch.enable_grad():
            leaves = clean.map(lambda latents: latents.detach().clone())
            asked = {name: leaf.requires_grad_() for name, leaf in leaves.items() if name in wanted}
            energy = self.energy(leaves, inputs)
            if not energy.requires_grad:
                return ClipLatents.of(asked).map(torch.zeros_like)
            gradients = torch.autograd.grad(
                energy.sum(), list(asked.values()), materialize_grads=True
            )
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
