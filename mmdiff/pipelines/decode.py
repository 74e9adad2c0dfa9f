"""Latents to media, one clip after the other: a clip comes out the same alone and in any batch,
and memory stays bounded."""

import torch
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor

from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.loading.finite import finite
from mmdiff.values.shapes import LatentGrid

PIXELS_AT_ONCE = 2**20  # a decoder keeps about 1 kB of feature maps for each


def decode_video(vae: Autoencoder, latents: Tensor, *, grid: LatentGrid) -> Tensor:
    """Frames b 3 frames height width in [-1, 1], fp32.

    latents  b c f h w, unit variance

    Raises NonFiniteOutput where the decoder makes NaN or infinity.
    """
    frames = torch.cat([_decode_clip(vae, clip, grid=grid) for clip in latents.split(1)])
    return finite(frames, "the video decoder (vae)").clamp_(-1, 1)


def _decode_clip(vae: Autoencoder, latents: Tensor, *, grid: LatentGrid) -> Tensor:
    raw = vae.unscale(latents.to(vae.dtype))
    _, _, latent_frames, rows, columns = raw.shape
    pixels_per_latent_frame = rows * columns * grid.space_compression**2 * grid.time_compression
    chunk = max(1, PIXELS_AT_ONCE // pixels_per_latent_frame)
    if chunk >= latent_frames or not hasattr(vae, "decode_stream"):
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
    mel = torch.cat([_decode_mel(audio_vae, clip) for clip in latents.split(1)])
    mel = finite(mel, "the audio decoder (audio_vae)").to(vocoder.dtype)
    waveform = torch.cat([vocoder(clip).float() for clip in mel.split(1)])  # b samples
    waveform = finite(waveform, "the vocoder").clamp_(-1, 1)
    start = grid.preroll_samples
    return rearrange(waveform[:, start : start + num_samples], "b samples -> b 1 samples")


def _decode_mel(audio_vae: Autoencoder, latents: Tensor) -> Tensor:
    """Log-mels b mel_frames mel_bins."""
    raw = audio_vae.unscale(latents.to(audio_vae.dtype))
    return rearrange(audio_vae.decode(raw), "b 1 t m -> b t m")
