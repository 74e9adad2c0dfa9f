"""AudioAdapter: sound latents as tokens,
one per stretch of latent frames with all its rows of mel."""

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.backbone.adapters.adapter import Adapter


class AudioAdapter(Adapter):
    """Latents b c t m as tokens of `patch_size` latent frames.

    Args:
        rows: latent rows of mel bins.
        frames_beside: audio latent frames beside one latent frame of the picture.
        frame_seconds: duration of a latent frame of the picture;
            the first ends with the first frame of the clip.
        frame_rate: picture frames per second.
    """

    def __init__(
        self,
        channels: int,
        rows: int,
        patch_size: int,
        dim: int,
        *,
        frames_beside: int,
        frame_seconds: float,
        frame_rate: float,
    ) -> None:
        if frames_beside < 1 or frames_beside % patch_size:
            raise ValueError(
                f"audio_patch_size is {patch_size}; it must divide the {frames_beside} audio "
                "latent frames beside a latent frame of the picture"
            )
        super().__init__(channels * rows * patch_size, dim)
        self.patch_size, self.frames_beside = patch_size, frames_beside
        self.frame_seconds, self.frame_rate = frame_seconds, frame_rate

    def patchify(self, latents: Tensor) -> Tensor:
        frames, beside = latents.shape[2], self.frames_beside
        if frames % beside:
            nearest = max(beside, round(frames / beside) * beside)
            raise ValueError(
                f"{frames} audio latent frames do not fill slices of {beside}; "
                f"the nearest number is {nearest}"
            )
        tokens = beside // self.patch_size
        return rearrange(latents, "b c (f a q) m -> b f a (c q m)", a=tokens, q=self.patch_size)

    def unpatchify(self, patches: Tensor, shape: torch.Size) -> Tensor:
        channels = shape[1]
        return rearrange(patches, "b f a (c q m) -> b c (f a q) m", c=channels, q=self.patch_size)

    def patchify_time(self, time: Tensor) -> Tensor:
        """The level of a token is the highest inside it,
        so a token that is given in part counts as noisy."""
        if time.shape[2] == 1:
            return rearrange(time, "b 1 1 m -> b 1 1 m").amax(dim=-1)
        tokens = self.frames_beside // self.patch_size
        return rearrange(time, "b 1 (f a q) m -> b f a (q m)", a=tokens, q=self.patch_size).amax(
            dim=-1
        )

    def positions(self, shape: torch.Size, device: torch.device) -> Tensor:
        beside = self.frames_beside // self.patch_size
        tokens = shape[2] // self.patch_size
        length = self.frame_seconds / beside
        start = 1 / self.frame_rate - self.frame_seconds
        seconds = start + (torch.arange(tokens, device=device) + 0.5) * length
        nowhere = torch.zeros_like(seconds)
        positions = torch.stack([seconds, nowhere, nowhere], dim=-1)
        return rearrange(positions.float(), "(f a) axes -> f a axes", a=beside)

    def canvas(self, shape: torch.Size) -> tuple[int, int]:
        return 1, 1
