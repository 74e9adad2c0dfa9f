"""MediaEncoder: what is given, as latents, by the autoencoders of a pipeline."""

from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.autoencoders.media_latents import audio_latents, video_latents, with_preroll
from mmdiff.autoencoders.mel import LogMel
from mmdiff.loading.finite import finite
from mmdiff.values.shapes import ClipShape, LatentGrid

MEL_FACTS = ("f_min", "f_max", "floor", "ceiling")


@dataclass(frozen=True, eq=False, kw_only=True)
class MediaEncoder:
    """The `Encode` that a pipeline hands to conditions.

    shape   of the clip that is made
    device  of the latents

    Raises NonFiniteOutput where an encoder makes NaN or infinity.
    """

    vae: Any
    audio_vae: Any
    vocoder: Any
    grid: LatentGrid
    shape: ClipShape
    device: torch.device

    def video(self, frames: Tensor) -> Tensor:
        """1 c f h w, unit variance, of  frames height width 3, uint8:  1 + 4k frames."""
        x = rearrange(frames, "f h w c -> 1 f h w c")
        latents = video_latents(self.vae, x)
        return finite(latents, "the video encoder (vae)").to(self.device)

    def audio(self, waveform: Tensor) -> Tensor:
        """1 c t m, unit variance, of  1 samples  as long as the clip; the pre-roll is silence."""
        shape, grid = self.shape, self.grid
        assert waveform.shape == (1, shape.num_samples)
        num_samples = grid.num_samples_with_preroll(shape.num_frames)
        padded = with_preroll(
            waveform, preroll_samples=grid.preroll_samples, num_samples=num_samples
        )
        latents = audio_latents(self.audio_vae, self._mel(), padded)
        return finite(latents, "the audio encoder (audio_vae)").to(self.device)

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
