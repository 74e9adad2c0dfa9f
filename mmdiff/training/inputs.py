"""Clips of a batch -> what an autoencoder or a vocoder takes."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.data.batch import ClipBatch


class FramesInput(nn.Module):
    """Frames as the video autoencoder takes them: b 3 frames height width, in [-1, 1]."""

    def forward(self, batch: ClipBatch) -> Tensor:
        return to_unit_range(batch.picture)


class WaveformInput(nn.Module):
    """Sound with `preroll_samples` of silence in front: b samples, in [-1, 1]."""

    def __init__(self, preroll_samples: int = 0) -> None:
        super().__init__()
        self.preroll_samples = preroll_samples

    def forward(self, batch: ClipBatch) -> Tensor:
        return functional.pad(batch.sound, (self.preroll_samples, 0))


class MelInput(nn.Module):
    """Sound as the audio autoencoder takes it: the log-mel b 1 mel_frames mel_bins of the waveform
    with its pre-roll."""

    def __init__(self, mel: nn.Module, *, preroll_samples: int) -> None:
        super().__init__()
        self.mel = mel
        self.waveform = WaveformInput(preroll_samples)

    def forward(self, batch: ClipBatch) -> Tensor:
        with torch.autocast(batch.sound.device.type, enabled=False):  # a mel in bf16 is too coarse
            return rearrange(self.mel(self.waveform(batch)), "b t m -> b 1 t m")
