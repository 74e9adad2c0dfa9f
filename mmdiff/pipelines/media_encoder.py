"""MediaEncoder: what is given, as latents, by the autoencoders of a pipeline."""

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.values.shapes import ClipShape, LatentGrid

MEL_FACTS = ("f_min", "f_max", "floor", "ceiling")


@dataclass(frozen=True, eq=False, kw_only=True)
class MediaEncoder:
    """The `Encode` that a pipeline hands to conditions.

    shape   of the clip that is made
    device  of the latents
    """

    vae: Any
    audio_vae: Any
    vocoder: Any
    grid: LatentGrid
    shape: ClipShape
    device: torch.device

    def video(self, frames: Tensor) -> Tensor:
        """1 c f h w, unit variance, of  frames height width 3, uint8:  1 + 4k frames."""
        x = to_unit_range(rearrange(frames, "f h w c -> 1 f h w c").to(self.vae.device))
        latents: Tensor = self.vae.scale(self.vae.encode(x.to(self.vae.dtype)).mode())
        return latents.float().to(self.device)

    def audio(self, waveform: Tensor) -> Tensor:
        """1 c t m, unit variance, of  1 samples  as long as the clip; the pre-roll is silence."""
        shape, grid = self.shape, self.grid
        assert waveform.shape == (1, shape.num_samples)
        end = grid.num_samples_with_preroll(shape.num_frames) - grid.preroll_samples
        padded = F.pad(waveform, (grid.preroll_samples, end - shape.num_samples))
        device = self.audio_vae.device
        log_mel = rearrange(self._mel().to(device)(padded.to(device)), "b t m -> b 1 t m")
        latents: Tensor = self.audio_vae.scale(
            self.audio_vae.encode(log_mel.to(self.audio_vae.dtype)).mode()
        )
        return latents.float().to(self.device)

    def _mel(self) -> LogMel:
        """The log-mel that the vocoder inverts."""
        config = getattr(self.vocoder, "config", {})
        facts = {name: config[name] for name in MEL_FACTS if name in config}
        return LogMel(
            self.grid.sample_rate,
            hop_length=self.grid.hop_length,
            mel_bins=self.grid.mel_bins,
            **facts,
        )
