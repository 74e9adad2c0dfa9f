"""Latents to media: pictures and sound, a few clips at a time, so that memory stays bounded."""

import torch
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor

from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.values.finite import finite
from mmdiff.values.shapes import LatentGrid

PIXELS_AT_ONCE = 2**20  # a decoder keeps about 1 kB of feature maps for each
SAMPLES_AT_ONCE = 2**22


def decode_video(vae: Autoencoder, latents: Tensor, *, grid: LatentGrid) -> Tensor:
    """Frames b 3 frames height width in [-1, 1], fp32.

    latents  b c f h w, unit variance

    Raises NonFiniteOutput where the decoder makes NaN or infinity.
    """
    _, _, latent_frames, rows, columns = latents.shape
    pixels = grid.num_frames(latent_frames) * rows * columns * grid.space_compression**2
    batches = latents.split(max(1, PIXELS_AT_ONCE // pixels))
    frames = torch.cat([_decode_batch(vae, batch, grid=grid) for batch in batches])
    return finite(frames, "the video decoder (vae)").clamp_(-1, 1)


def _decode_batch(vae: Autoencoder, latents: Tensor, *, grid: LatentGrid) -> Tensor:
    raw = vae.unscale(latents.to(vae.dtype))
    pixels_per_latent_frame = (
        raw.shape[3] * raw.shape[4] * grid.space_compression**2 * grid.time_compression
    )
    chunk = max(1, PIXELS_AT_ONCE // (pixels_per_latent_frame * len(raw)))
    if chunk >= raw.shape[2] or not hasattr(vae, "decode_stream"):
        return vae.decode(raw).float()
    frames = [part.float() for part in vae.decode_stream(raw.split(chunk, dim=2))]
    return torch.cat(frames, dim=2)


def decode_audio(
    audio_vae: Autoencoder,
    vocoder: ModelMixin,
    latents: Tensor,
    *,
    grid: LatentGrid,
    num_samples: int,
) -> Tensor:
    """Sound b 1 samples in [-1, 1], fp32.

    The pre-roll is cut off, and the end so that the sound lasts exactly as long as the picture.

    latents  b c t m, unit variance

    Raises NonFiniteOutput where the decoder or the vocoder makes NaN or infinity.
    """
    count = max(1, SAMPLES_AT_ONCE // (latents.shape[2] * grid.samples_per_audio_latent))
    mel = torch.cat([_decode_mel(audio_vae, batch) for batch in latents.split(count)])
    mel = finite(mel, "the audio decoder (audio_vae)").to(vocoder.dtype)
    waveform = torch.cat([vocoder(batch).float() for batch in mel.split(count)])  # b samples
    waveform = finite(waveform, "the vocoder").clamp_(-1, 1)
    start = grid.preroll_samples
    return rearrange(waveform[:, start : start + num_samples], "b samples -> b 1 samples")


def _decode_mel(audio_vae: Autoencoder, latents: Tensor) -> Tensor:
    """Log-mels b mel_frames mel_bins."""
    raw = audio_vae.unscale(latents.to(audio_vae.dtype))
    return rearrange(audio_vae.decode(raw), "b 1 t m -> b t m")
