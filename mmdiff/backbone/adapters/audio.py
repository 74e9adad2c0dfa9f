"""AudioAdapter: audio latents as tokens,
one per span of latent frames with all its rows of mel."""

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.backbone.adapters.adapter import Adapter
from mmdiff.backbone.adapters.time_attention import AudioTimeAttention


class AudioAdapter(Adapter):
    """Latents b c t m as tokens of `patch_size` latent frames.

    Args:
        rows: latent rows of mel bins.
        frames_per_group: audio latent frames in the span of one video latent frame.
        frame_seconds: duration of a video latent frame;
            the first ends with the first frame of the clip.
        frame_rate: video frames per second.
    """

    time_attention = AudioTimeAttention

    def __init__(
        self,
        channels: int,
        rows: int,
        patch_size: int,
        dim: int,
        *,
        frames_per_group: int,
        frame_seconds: float,
        frame_rate: float,
    ) -> None:
        if frames_per_group < 1 or frames_per_group % patch_size:
            raise ValueError(
                f"audio_patch_size is {patch_size}; it must divide the {frames_per_group} audio "
                "latent frames in the span of a video latent frame"
            )
        super().__init__(channels * rows * patch_size, dim)
        self.patch_size, self.frames_per_group = patch_size, frames_per_group
        self.frame_seconds, self.frame_rate = frame_seconds, frame_rate

    def patchify(self, latents: Tensor) -> Tensor:
        frames, span = latents.shape[2], self.frames_per_group
        if frames % span:
            nearest = max(span, round(frames / span) * span)
            raise ValueError(
                f"{frames} audio latent frames do not fill groups of {span}; "
                f"the nearest number is {nearest}"
            )
        tokens = span // self.patch_size
        return rearrange(latents, "b c (f a q) m -> b f a (c q m)", a=tokens, q=self.patch_size)

    def unpatchify(self, patches: Tensor, shape: torch.Size) -> Tensor:
        channels = shape[1]
        return rearrange(patches, "b f a (c q m) -> b c (f a q) m", c=channels, q=self.patch_size)

    def patchify_time(self, time: Tensor) -> Tensor:
        """The time of a token is the highest inside it,
        so a token that is conditioned in part counts as noisy."""
        if time.shape[2] == 1:
            return rearrange(time, "b 1 1 m -> b 1 1 m").amax(dim=-1)
        tokens = self.frames_per_group // self.patch_size
        return rearrange(time, "b 1 (f a q) m -> b f a (q m)", a=tokens, q=self.patch_size).amax(
            dim=-1
        )

    def positions(self, shape: torch.Size, device: torch.device) -> Tensor:
        span = self.frames_per_group // self.patch_size
        tokens = shape[2] // self.patch_size
        length = self.frame_seconds / span
        start = 1 / self.frame_rate - self.frame_seconds
        seconds = start + (torch.arange(tokens, device=device) + 0.5) * length
        no_place = torch.zeros_like(seconds)
        positions = torch.stack([seconds, no_place, no_place], dim=-1)
        return rearrange(positions.float(), "(f a) axes -> f a axes", a=span)

    def grid(self, shape: torch.Size) -> tuple[int, int]:
        return 1, 1
