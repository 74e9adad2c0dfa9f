"""Media from latents by maps so small that finite differences through them are exact enough."""

from dataclasses import dataclass, field

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.guidance.energy import EnergyInput
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import LatentGrid

TINY_GRID = LatentGrid(
    time_compression=4,
    space_compression=1,
    video_channels=3,
    audio_channels=1,
    audio_mel_compression=1,
    mel_bins=4,
)


@dataclass
class TinyDecode:
    """Latents b 3 f h w are frames but for a mixing of channels, latents b 1 t m log-mels but for
    their range; counts its calls."""

    grid: LatentGrid = TINY_GRID
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, latents: ClipLatents) -> ClipLatents:
        self.calls.append(latents.modalities)
        mix = torch.tensor([[0.8, 0.1, 0.0], [0.1, 0.9, -0.1], [0.0, 0.2, 0.7]])
        frames = log_mel = None
        if latents.video is not None:
            mixed = torch.einsum(
                "b c f h w, d c -> b d f h w", latents.video, mix.to(latents.video)
            )
            frames = torch.tanh(mixed)
        if latents.audio is not None:
            log_mel = torch.tanh(latents.audio)
        return ClipLatents(frames, log_mel)

    def waveform(self, log_mel: Tensor) -> Tensor:
        return rearrange(log_mel, "b 1 t m -> b (t m)")


def latents(rows: int = 2, *, dtype: torch.dtype = torch.float64, seed: int = 0) -> ClipLatents:
    """5 frames of 8 x 8 and 20 mel frames of 4 bins."""
    generator = torch.Generator().manual_seed(seed)
    return ClipLatents(
        torch.randn(rows, 3, 5, 8, 8, generator=generator, dtype=dtype),
        torch.randn(rows, 1, 20, 4, generator=generator, dtype=dtype),
    )


def known(clean: ClipLatents, time: float = 0.5, **fields) -> EnergyInput:
    """What an energy is told at this noise time."""
    times = clean.map(lambda half: half.new_full((len(half),) + (1,) * (half.ndim - 1), time))
    return EnergyInput(times, **{"decode": TinyDecode(), **fields})


def assert_slope_is_that_of_finite_differences(energy, clean: ClipLatents, told: EnergyInput):
    """Along random directions, of each half that the energy depends on."""
    gradients = energy.gradient(clean, told, energy.modalities)
    generator = torch.Generator().manual_seed(1)
    for name in energy.modalities:
        half, gradient = clean.get(name), gradients.get(name)
        assert float(gradient.abs().max()) > 0
        for _ in range(3):
            way = torch.randn(half.shape, generator=generator, dtype=half.dtype)
            step = 1e-5
            ahead = energy.energy(clean.replace(name, half + step * way), told)
            behind = energy.energy(clean.replace(name, half - step * way), told)
            by_difference = (ahead - behind) / (2 * step)
            along = (gradient * way).sum(tuple(range(1, half.ndim)))
            torch.testing.assert_close(along, by_difference, rtol=1e-5, atol=1e-8)
