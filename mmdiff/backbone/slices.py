"""Slices: the tokens of a stretch of time, picture and sound together, as one row of the trunk.

With `frames_per_slice` 1 a slice holds one video latent frame and the sound beside it (factorised
attention), with k it holds k of them (windows), with None the whole clip (full joint attention):
one code path, and the cost of the trunk is linear in the number of slices.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from mmdiff.backbone.modality_tokens import ModalityTokens


@dataclass(frozen=True)
class SliceLayout:
    """How a clip lies in slices. A modality that is absent has 0 tokens.

    latent_frames      of the picture, or of the stretch of time of the sound
    frames_per_slice   latent frames of a slice
    video_sites        tokens of a latent frame of the picture
    audio_tokens       tokens of the sound beside a latent frame
    """

    latent_frames: int
    frames_per_slice: int
    video_sites: int
    audio_tokens: int

    @property
    def num_slices(self) -> int:
        return -(-self.latent_frames // self.frames_per_slice)

    @property
    def video_tokens(self) -> int:
        """Picture tokens of a slice; they come before those of the sound."""
        return self.frames_per_slice * self.video_sites

    @property
    def padding(self) -> int:
        """Latent frames that fill up the last slice."""
        return self.num_slices * self.frames_per_slice - self.latent_frames

    def pack(self, video: ModalityTokens | None, audio: ModalityTokens | None) -> Tensor:
        """Both modalities, of which one may be absent, as slices b s n d."""
        return self.pack_tokens(
            None if video is None else video.tokens, None if audio is None else audio.tokens
        )

    def pack_tokens(self, video: Tensor | None, audio: Tensor | None) -> Tensor:
        """video  b f p d (p sites), audio  b f a d (a tokens beside a frame) -> b s n d."""
        halves = [self._fold(half) for half in (video, audio) if half is not None]
        return torch.cat(halves, dim=2)

    def unpack(self, tokens: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """b s n d -> video  b f p d, audio  b f a d; None for a modality without tokens."""
        video, audio = self.split(tokens)
        return (
            self._unfold(video) if self.video_sites else None,
            self._unfold(audio) if self.audio_tokens else None,
        )

    def split(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """b s n ... -> its picture and its sound part."""
        return tokens[:, :, : self.video_tokens], tokens[:, :, self.video_tokens :]

    def fold_levels(self, half: ModalityTokens | None) -> Tensor | None:
        """The modulation of a modality by slice:
        b s n 6 d, or b 1 1 6 d where all of its tokens have the same."""
        if half is None:
            return None
        modulation = rearrange(half.modulation, "b f p (six d) -> b f p six d", six=6)
        if modulation.shape[1:3] == (1, 1):
            return modulation
        modulation = modulation.expand(-1, self.latent_frames, half.tokens_per_frame, -1, -1)
        modulation = F.pad(modulation, (0, 0, 0, 0, 0, 0, 0, self.padding))
        return rearrange(modulation, "b (s k) p six d -> b s (k p) six d", k=self.frames_per_slice)

    def visible(self, device: torch.device) -> Tensor | None:
        """s n, bool: which tokens are no padding; None if none is."""
        if not self.padding:
            return None
        frames = torch.arange(self.num_slices * self.frames_per_slice, device=device)
        real = rearrange(frames < self.latent_frames, "(s k) -> s k", k=self.frames_per_slice)
        return torch.cat(
            [
                real.repeat_interleave(count, dim=1)
                for count in (self.video_sites, self.audio_tokens)
            ],
            dim=1,
        )

    def _fold(self, half: Tensor) -> Tensor:
        half = F.pad(half, (0, 0, 0, 0, 0, self.padding))
        return rearrange(half, "b (s k) p d -> b s (k p) d", k=self.frames_per_slice)

    def _unfold(self, half: Tensor) -> Tensor:
        frames = rearrange(half, "b s (k p) d -> b (s k) p d", k=self.frames_per_slice)
        return frames[:, : self.latent_frames]
