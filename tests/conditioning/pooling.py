"""An Encode without weights: latents are means of the pixels and samples under them."""

from fractions import Fraction

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor

from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import ClipShape, LatentGrid

GRID = LatentGrid(video_channels=3, audio_channels=1)


class PoolingEncode:
    """Each latent site of the picture is the mean of its pixels, in [-1, 1]; each of the sound the
    loudness of its samples."""

    def __init__(self, num_frames: int = 17, height: int = 32, width: int = 32) -> None:
        self.grid = GRID
        self.shape = ClipShape(num_frames, height, width, frame_rate=Fraction(16))

    def video(self, frames: Tensor) -> Tensor:
        assert frames.shape[1:] == (self.shape.height, self.shape.width, 3)
        self.grid.latent_frames(len(frames))
        padded = torch.cat([frames[:1]] * 3 + [frames]).float() / 127.5 - 1
        return reduce(padded, "(f p) (h q) (w r) c -> 1 c f h w", "mean", p=4, q=8, r=8)

    def audio(self, waveform: Tensor) -> Tensor:
        assert waveform.shape == (1, self.shape.num_samples)
        padded = torch.cat([torch.zeros(1, self.grid.preroll_samples), waveform], dim=1)
        loud = reduce(padded.abs(), "1 (t s) -> 1 1 t 1", "mean", s=1000)
        return repeat(loud, "1 1 t 1 -> 1 1 t m", m=16)

    def state(self, batch_size: int = 1) -> LatentState:
        """Noise, of which nothing is given."""
        shape = self.shape
        generator = torch.Generator().manual_seed(0)
        video = self.grid.video_shape(shape.num_frames, shape.height, shape.width)
        audio = self.grid.audio_shape(shape.num_frames)
        return LatentState(
            ClipLatents(
                torch.randn(batch_size, *video, generator=generator),
                torch.randn(batch_size, *audio, generator=generator),
            )
        )


def moving_frames(count: int = 17, height: int = 32, width: int = 32, *, seed: int = 0) -> Tensor:
    """Smooth colors that change from frame to frame: frames height width 3, uint8."""
    generator = torch.Generator().manual_seed(seed)
    phase = torch.rand(3, generator=generator) * 6
    rows, columns = torch.arange(height) / height, torch.arange(width) / width
    field = rearrange(rows, "h -> 1 h 1 1") + 2 * rearrange(columns, "w -> 1 1 w 1")
    time = rearrange(torch.arange(count), "f -> f 1 1 1") / 4
    return (127 + 100 * torch.sin(3 * field + time + phase)).round().to(torch.uint8)


def tone(count: int, *, hertz: float = 440.0, sample_rate: int = 16_000) -> Tensor:
    """1 samples of a sine at half of full scale."""
    return 0.5 * torch.sin(2 * torch.pi * hertz * torch.arange(count) / sample_rate)[None]
