"""What a call of the pipeline gives: frames and audio as in diffusers, and both as clips."""

from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.utils.outputs import BaseOutput

from mmdiff.autoencoders.video_autoencoder import to_frames
from mmdiff.media.clip import Clip
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import LatentGrid


@dataclass
class MMDiffPipelineOutput(BaseOutput):
    """What one call of the pipeline made, a batch of clips.

    frames  "pil": a list of lists of PIL images; "np": b frames height width 3 in [0, 1]; "pt":
            b frames 3 height width in [0, 1]; "latent": the video latents b c f h w; None without
            video
    audio   b channels samples in [-1, 1]; with "latent" the audio latents b c t m; None without
            audio
    clips   the same as one `Clip` a sample, ready to save; empty with "latent"
    """

    frames: Any = None
    audio: torch.Tensor | None = None
    clips: list[Clip] = field(default_factory=list)


def clips_of(media: ClipLatents, grid: LatentGrid) -> list[Clip]:
    """One clip a row of media: frames b 3 frames height width, audio b channels samples."""
    frames = None if media.video is None else to_frames(media.video)
    return [
        Clip(
            frames=None if frames is None else frames[row],
            fps=grid.frame_rate,
            waveform=None if media.audio is None else media.audio[row],
            sample_rate=None if media.audio is None else grid.sample_rate,
        )
        for row in range(media.batch_size)
    ]
