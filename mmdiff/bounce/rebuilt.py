"""Media through the autoencoders of a pipeline and back: what they leave of true clips."""

import torch

from mmdiff.autoencoders.media_latents import audio_latents, video_latents, with_preroll
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import to_frames
from mmdiff.pipelines.codec import decode_audio, decode_video
from mmdiff.pipelines.pipeline import MMDiffPipeline


@torch.no_grad()
def rebuilt_frames(pipe: MMDiffPipeline, frames: torch.Tensor) -> torch.Tensor:
    """b frames height width 3, uint8, through the video autoencoder and back."""
    latents = video_latents(pipe.vae, frames)
    return to_frames(decode_video(pipe.vae, latents, grid=pipe.latent_grid)).cpu()


@torch.no_grad()
def rebuilt_waveforms(pipe: MMDiffPipeline, waveforms: torch.Tensor) -> torch.Tensor:
    """b samples through mel, audio autoencoder and vocoder, and back: b 1 samples."""
    grid, count = pipe.latent_grid, waveforms.shape[-1]
    silence = grid.preroll_samples  # in front, as in generation
    padded = with_preroll(waveforms, preroll_samples=silence, num_samples=silence + count)
    mel = LogMel(grid.sample_rate, hop_length=grid.hop_length, mel_bins=grid.mel_bins)
    latents = audio_latents(pipe.audio_vae, mel, padded)
    return decode_audio(pipe.audio_vae, pipe.vocoder, latents, grid=grid, num_samples=count).cpu()
