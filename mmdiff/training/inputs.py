"""Clips of a batch -> what an autoencoder, a vocoder or a diffusion transformer takes."""

from functools import cached_property

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.data.batch import ClipBatch, LatentBatch
from mmdiff.data.clip_encoder import ClipEncoder
from mmdiff.values.file_path import FilePath


class FramesInput(nn.Module):
    """Frames as the video autoencoder takes them: b 3 frames height width, in [-1, 1]."""

    def forward(self, batch: ClipBatch) -> Tensor:
        return to_unit_range(batch.picture)


class WaveformInput(nn.Module):
    """Waveforms with `preroll_samples` of silence in front: b samples, in [-1, 1]."""

    def __init__(self, preroll_samples: int = 0) -> None:
        super().__init__()
        self.preroll_samples = preroll_samples

    def forward(self, batch: ClipBatch) -> Tensor:
        # the first latent frame of the video spans one frame, not four: silence fills its group up
        return functional.pad(batch.sound, (self.preroll_samples, 0))


class MelInput(nn.Module):
    """Audio as its autoencoder takes it: the log-mel b 1 mel_frames mel_bins of the waveform with
    its pre-roll."""

    def __init__(self, mel: nn.Module, *, preroll_samples: int) -> None:
        super().__init__()
        self.mel = mel
        self.waveform = WaveformInput(preroll_samples)

    def forward(self, batch: ClipBatch) -> Tensor:
        batch.check_rates(sample_rate=getattr(self.mel, "sample_rate", None))
        with torch.autocast(batch.sound.device.type, enabled=False):  # a mel in bf16 is too coarse
            return rearrange(self.mel(self.waveform(batch)), "b t m -> b 1 t m")


class LatentsInput:
    """Latents as the transformer takes them: those of a cache as they are, clips through their
    frozen autoencoders, at every step anew: for more crops in space and time than a cache can hold.

    The latents are those that `mmdiff encode precision=float32` writes. No module: its weights are
    neither trained nor saved.

    vae, audio_vae: folders of the autoencoders, read when the first clips come.
    """

    def __init__(self, vae: FilePath, audio_vae: FilePath, mel: nn.Module) -> None:
        self.vae, self.audio_vae, self.mel = vae, audio_vae, mel

    @cached_property
    def encoder(self) -> ClipEncoder:
        return ClipEncoder.from_folders(self.vae, self.audio_vae, self.mel)

    def __call__(self, batch: ClipBatch | LatentBatch, device: torch.device) -> LatentBatch:
        if isinstance(batch, LatentBatch):
            return batch
        with torch.autocast(device.type, enabled=False):
            latents = self.encoder.to(device)(batch)
        return LatentBatch(latents, batch.captions, batch.sample_ids)
