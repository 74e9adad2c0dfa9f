"""Media to latents of unit variance: the one way in, for caches, conditions and measurements."""

from collections.abc import Iterator
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.loading.module_memory import execution_device


def video_latents(vae: Any, frames: Tensor, *, frames_per_chunk: int | None = None) -> Tensor:
    """b c f h w, fp32: the scaled means of  frames  b frames height width 3, uint8.

    frames_per_chunk: a multiple of the compression in time; the frames then pass through the
    autoencoder in a stream, which gives the same at a memory that does not grow with the length.
    """
    with torch.no_grad():
        if frames_per_chunk is None:
            mean = vae.encode(_pixels(vae, frames)).mode()
        else:
            chunks = (
                _pixels(vae, chunk) for chunk in _chunks(frames, frames_per_chunk=frames_per_chunk)
            )
            parts = [posterior.mode().to(frames.device) for posterior in vae.encode_stream(chunks)]
            mean = torch.cat(parts, dim=2)
        latents: Tensor = vae.scale(mean.float())
    return latents


def audio_latents(audio_vae: Any, mel: nn.Module, waveform: Tensor) -> Tensor:
    """b c t m, fp32: the scaled means of  waveform  b samples, which holds whole slices, the
    pre-roll of silence in front."""
    with torch.no_grad():
        device = execution_device(audio_vae)
        with torch.autocast(device.type, enabled=False):  # a mel in bf16 is too coarse
            log_mel = mel.to(device)(waveform.to(device))
        x = rearrange(log_mel, "b t m -> b 1 t m").to(audio_vae.dtype)
        latents: Tensor = audio_vae.scale(audio_vae.encode(x).mode().float())
    return latents


def with_preroll(waveform: Tensor, *, preroll_samples: int, num_samples: int) -> Tensor:
    """b num_samples: silence in front, and as much behind as is missing.

    Raises ValueError where the waveform and its pre-roll are longer.
    """
    behind = num_samples - preroll_samples - waveform.shape[-1]
    if behind < 0:
        raise ValueError(
            f"the sound has {waveform.shape[-1]} samples; "
            f"at most {num_samples - preroll_samples} last as long as its clip"
        )
    return F.pad(waveform, (preroll_samples, behind))


def _pixels(vae: Any, frames: Tensor) -> Tensor:
    return to_unit_range(frames.to(execution_device(vae))).to(vae.dtype)


def _chunks(frames: Tensor, *, frames_per_chunk: int) -> Iterator[Tensor]:
    """The first frame, then `frames_per_chunk` at a time."""
    yield frames[:, :1]
    for start in range(1, frames.shape[1], frames_per_chunk):
        yield frames[:, start : start + frames_per_chunk]
