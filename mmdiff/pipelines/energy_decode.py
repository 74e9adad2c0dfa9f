"""EnergyDecode: the autoencoders as energies use them: with gradient, and nothing clamped."""

from dataclasses import dataclass

from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor

from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import LatentGrid


@dataclass(frozen=True)
class EnergyDecode:
    """Latents to frames and log-mels; see `guidance.energy_input.Decode`.

    The components are called where they are: gradient goes through them, and to their inputs only.
    """

    vae: Autoencoder
    audio_vae: Autoencoder
    vocoder: ModelMixin
    grid: LatentGrid

    def __call__(self, latents: ClipLatents) -> ClipLatents:
        frames, log_mel = None, None
        if latents.video is not None:
            frames = self.vae.decode(self.vae.unscale(latents.video.to(self.vae.dtype))).float()
        if latents.audio is not None:
            raw = self.audio_vae.unscale(latents.audio.to(self.audio_vae.dtype))
            preroll = self.grid.preroll_samples // self.grid.hop_length
            log_mel = self.audio_vae.decode(raw).float()[:, :, preroll:]
        return ClipLatents(frames, log_mel)

    def waveform(self, log_mel: Tensor) -> Tensor:
        """Sound b samples of log-mels b 1 mel_frames mel_bins."""
        mels = rearrange(log_mel, "b 1 t m -> b t m").to(self.vocoder.dtype)
        sound: Tensor = self.vocoder(mels)
        return sound.float()
