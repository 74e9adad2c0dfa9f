"""Media through the autoencoders of a pipeline and back: what they leave of true clips."""

from collections.abc import Sequence

import torch

from mmdiff.autoencoders.media_latents import audio_latents, video_latents, with_preroll
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import to_frames
from mmdiff.data.batch import ClipBatch
from mmdiff.pipelines.codec import decode_audio, decode_video
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.values.sample import Sample


@torch.no_grad()
def rebuilt_frames(pipe: MMDiffPipeline, frames: torch.Tensor) -> torch.Tensor:
    """b frames height width 3, uint8, through the video autoencoder and back."""
    latents = video_latents(pipe.vae, frames)
    return to_frames(decode_video(pipe.vae, latents, grid=pipe.latent_grid)).cpu()


@torch.no_grad()
def rebuilt_waveforms(pipe: MMDiffPipeline, samples: Sequence[Sample]) -> torch.Tensor:
    """b 1 samples through mel, audio autoencoder and vocoder, pre-roll as in generation."""
    grid = pipe.latent_grid
    sound = ClipBatch.collate(list(enumerate(samples))).sound
    padded = with_preroll(
        sound,
        preroll_samples=grid.preroll_samples,
        num_samples=grid.preroll_samples + sound.shape[-1],
    )
    mel = LogMel(grid.sample_rate, hop_length=grid.hop_length, mel_bins=grid.mel_bins)
    latents = audio_latents(pipe.audio_vae, mel, padded)
    return decode_audio(
        pipe.audio_vae, pipe.vocoder, latents, grid=grid, num_samples=sound.shape[-1]
    ).cpu()
