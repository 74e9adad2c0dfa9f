"""Media to latents and back, by the components of a pipeline; its grid is what they say it is."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.autoencoders.media_latents import audio_latents, video_latents, with_preroll
from mmdiff.autoencoders.mel import LogMel
from mmdiff.loading.finite import finite
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import ClipShape, LatentGrid

PIXELS_AT_ONCE = 2**20  # a decoder keeps about 1 kB of feature maps for each
MEL_FACTS = ("f_min", "f_max", "floor", "ceiling")


def grid_of(vae: Any, audio_vae: Any, vocoder: Any, *, frame_rate: float) -> LatentGrid:
    """Rates and factors of the components; of one that is missing, those of the default clip.

    Raises ValueError where the audio latent frames do not divide into groups.
    """
    facts = {
        "sample_rate": _fact(vocoder, "output_sampling_rate"),
        "hop_length": _fact(vocoder, "hop_length"),
        "time_compression": _fact(vae, "time_compression"),
        "space_compression": _fact(vae, "space_compression"),
        "video_channels": _fact(vae, "latent_channels"),
        "mel_bins": _fact(audio_vae, "mel_bins"),
        "audio_time_compression": _fact(audio_vae, "time_compression"),
        "audio_mel_compression": _fact(audio_vae, "mel_compression"),
        "audio_channels": _fact(audio_vae, "latent_channels"),
    }
    known = {name: int(value) for name, value in facts.items() if value is not None}
    grid = LatentGrid(Fraction(frame_rate), **known)
    assert grid.audio_frames_per_latent_frame > 0
    return grid


def _fact(component: Any, name: str) -> Any:
    return component and component.config.get(name, getattr(type(component), name, None))


@dataclass(frozen=True, eq=False, kw_only=True)
class MediaEncoder:
    """The `Encode` of conditions, for clips of `shape`; latents are of unit variance, on `device`.

    Raises NonFiniteOutput where an encoder makes NaN or infinity.
    """

    vae: Any
    audio_vae: Any
    vocoder: Any
    grid: LatentGrid
    shape: ClipShape
    device: torch.device

    def video(self, frames: Tensor) -> Tensor:
        """1 c f h w of  frames height width 3, uint8:  1 + 4k frames."""
        latents = video_latents(self.vae, rearrange(frames, "f h w c -> 1 f h w c"))
        return finite(latents, "the video encoder (vae)").to(self.device)

    def audio(self, waveform: Tensor) -> Tensor:
        """1 c t m of  1 samples  as long as the clip; the pre-roll is silence."""
        grid = self.grid
        padded = with_preroll(
            waveform,
            preroll_samples=grid.preroll_samples,
            num_samples=grid.num_samples_with_preroll(self.shape.num_frames),
        )
        config = getattr(self.vocoder, "config", {})  # it inverts the mel of the audio latents
        facts = {name: config[name] for name in MEL_FACTS if name in config}
        mel = LogMel(grid.sample_rate, hop_length=grid.hop_length, mel_bins=grid.mel_bins, **facts)
        latents = audio_latents(self.audio_vae, mel, padded)
        return finite(latents, "the audio encoder (audio_vae)").to(self.device)


def decode_video(vae: Any, latents: Tensor, *, grid: LatentGrid) -> Tensor:
    """Frames b 3 frames height width in [-1, 1], fp32, of  b c f h w, unit variance.

    One clip after the other, so that a clip comes out the same alone and in any batch, and memory
    stays bounded.

    Raises NonFiniteOutput where the decoder makes NaN or infinity.
    """
    frames = torch.cat([_decode_clip(vae, clip, grid=grid) for clip in latents.split(1)])
    return finite(frames, "the video decoder (vae)").clamp_(-1, 1)


def _decode_clip(vae: Any, latents: Tensor, *, grid: LatentGrid) -> Tensor:
    raw = vae.unscale(latents.to(vae.dtype))
    _, _, latent_frames, rows, columns = raw.shape
    pixels_per_latent_frame = rows * columns * grid.space_compression**2 * grid.time_compression
    chunk = max(1, PIXELS_AT_ONCE // pixels_per_latent_frame)
    if chunk >= latent_frames or not hasattr(vae, "decode_stream"):
        return vae.decode(raw).float()
    return torch.cat([part.float() for part in vae.decode_stream(raw.split(chunk, dim=2))], dim=2)


def decode_audio(
    audio_vae: Any, vocoder: Any, latents: Tensor, *, grid: LatentGrid, num_samples: int
) -> Tensor:
    """Waveforms b 1 samples in [-1, 1], fp32, of  b c t m, unit variance, one clip after the other.

    The pre-roll is cut off, and the end so that the audio lasts exactly as long as the video.

    Raises NonFiniteOutput where the decoder or the vocoder makes NaN or infinity.
    """
    raw = audio_vae.unscale(latents.to(audio_vae.dtype))
    mel = torch.cat([audio_vae.decode(clip) for clip in raw.split(1)])
    mel = rearrange(finite(mel, "the audio decoder (audio_vae)"), "b 1 t m -> b t m")
    waveform = torch.cat([vocoder(clip).float() for clip in mel.to(vocoder.dtype).split(1)])
    waveform = finite(waveform, "the vocoder").clamp_(-1, 1)  # b samples
    start = grid.preroll_samples
    return rearrange(waveform[:, start : start + num_samples], "b samples -> b 1 samples")


@dataclass(frozen=True)
class EnergyDecode:
    """The `Decode` of energies: with gradient, and nothing clamped.

    The components are called where they are; gradient goes through them, to their inputs only.
    """

    vae: Any
    audio_vae: Any
    vocoder: Any
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
        """Waveforms b samples of log-mels b 1 mel_frames mel_bins."""
        mels = rearrange(log_mel, "b 1 t m -> b t m").to(self.vocoder.dtype)
        waveform: Tensor = self.vocoder(mels)
        return waveform.float()
