"""ClipEncoder: a batch of clips to latents, however much memory there is."""

import logging
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.media_latents import audio_latents, video_latents, with_preroll
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.data.batch import ClipBatch
from mmdiff.loading.component import saved_component
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import LatentGrid

_log = logging.getLogger(__name__)
FRAMES_PER_CHUNK = 32


class ClipEncoder(nn.Module):
    """Clips of a batch to latents of unit variance, the means of the posteriors, in fp32.

    Long clips pass through the video autoencoder in a stream. A batch that does not fit into
    memory is cut in half, and again, down to single clips; the log says so.
    """

    def __init__(
        self, vae: VideoAutoencoder, audio_vae: AudioAutoencoder, mel: nn.Module, grid: LatentGrid
    ) -> None:
        super().__init__()
        check_rates(mel, grid)
        self.vae, self.audio_vae, self.mel, self.grid = vae, audio_vae, mel, grid

    @classmethod
    def from_folders(
        cls, vae: str, audio_vae: str, mel: nn.Module, grid: LatentGrid | None = None
    ) -> "ClipEncoder":
        """Of the autoencoders in these folders, ready to encode."""
        autoencoders = (
            saved_component(VideoAutoencoder, vae),
            saved_component(AudioAutoencoder, audio_vae),
        )
        return cls(*autoencoders, mel, grid or LatentGrid()).eval()

    @torch.no_grad()
    def forward(self, batch: ClipBatch) -> ClipLatents:
        """Raises ValueError for sound that lasts longer than its picture's groups, and for clips of
        other rates than the grid's."""
        batch.check_rates(frame_rate=self.grid.frame_rate, sample_rate=self.grid.sample_rate)
        video = audio = None
        grid, preroll = self.grid, self.grid.preroll_samples
        if batch.frames is not None:
            chunk = FRAMES_PER_CHUNK if batch.frames.shape[1] > 2 * FRAMES_PER_CHUNK else None
            video = _in_parts(
                partial(video_latents, self.vae, frames_per_chunk=chunk), batch.frames
            )
        if batch.waveform is not None:
            # as long as the groups of its tokens last
            if batch.frames is not None:
                num_samples = grid.num_samples_with_preroll(batch.frames.shape[1])
            else:
                num_groups = -(-(batch.waveform.shape[-1] + preroll) // grid.samples_per_slice)
                num_samples = num_groups * grid.samples_per_slice
            waveform = with_preroll(
                batch.waveform, preroll_samples=preroll, num_samples=num_samples
            )
            audio = _in_parts(partial(audio_latents, self.audio_vae, self.mel), waveform)
        return ClipLatents(video, audio)


def check_rates(mel: nn.Module, grid: LatentGrid) -> None:
    """Raise ValueError where the mel does not fit the grid on which its latents are placed."""
    for name in ("sample_rate", "hop_length", "mel_bins"):
        ours, theirs = getattr(mel, name, None), getattr(grid, name)
        if ours is not None and ours != theirs:
            raise ValueError(
                f"mel.{name} is {ours} and the grid of the latents has {name} {theirs}; "
                "give both the same"
            )


def _in_parts(encode: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """`encode` on all rows at once, or on halves of them where that does not fit into memory."""
    try:
        return encode(rows)
    except (torch.OutOfMemoryError, MemoryError):
        if len(rows) == 1:
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = len(rows) // 2
    _log.warning("%d clips at once do not fit into memory; trying %d", len(rows), half)
    return torch.cat([_in_parts(encode, rows[:half]), _in_parts(encode, rows[half:])])
