"""VideoAdapter: video latents as tokens, one per patch of each latent frame."""

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.backbone.adapters.adapter import Adapter
from mmdiff.backbone.adapters.time_attention import VideoTimeAttention


class VideoAdapter(Adapter):
    """Latents b c f h w as patches of `patch_size` x `patch_size` sites.

    Args:
        frame_seconds: duration of a latent frame; the first ends with the first frame of the clip.
        frame_rate: frames per second of the clip.
    """

    time_attention = VideoTimeAttention

    def __init__(
        self, channels: int, patch_size: int, dim: int, *, frame_seconds: float, frame_rate: float
    ) -> None:
        super().__init__(channels * patch_size**2, dim)
        self.patch_size, self.frame_seconds, self.frame_rate = patch_size, frame_seconds, frame_rate

    def patchify(self, latents: Tensor) -> Tensor:
        height, width = latents.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f"video latents of {height} x {width} do not divide into patches of "
                f"{self.patch_size}; use sides that are multiples of {self.patch_size}"
            )
        p = self.patch_size
        return rearrange(latents, "b c f (h p) (w q) -> b f (h w) (c p q)", p=p, q=p)

    def unpatchify(self, patches: Tensor, shape: torch.Size) -> Tensor:
        p, rows = self.patch_size, shape[-2] // self.patch_size
        return rearrange(patches, "b f (h w) (c p q) -> b c f (h p) (w q)", p=p, q=p, h=rows)

    def patchify_time(self, time: Tensor) -> Tensor:
        """The time of a patch is the highest of its sites,
        so a patch that is conditioned in part counts as noisy."""
        rows, columns = (self.patch_size if side > 1 else 1 for side in time.shape[-2:])
        sites = rearrange(time, "b 1 f (h p) (w q) -> b f (h w) (p q)", p=rows, q=columns)
        return sites.amax(dim=-1)

    def positions(self, shape: torch.Size, device: torch.device) -> Tensor:
        frames, (rows, columns) = shape[2], self.grid(shape)
        end = torch.arange(frames, device=device) * self.frame_seconds + 1 / self.frame_rate
        seconds = end - self.frame_seconds / 2
        axes = torch.meshgrid(
            seconds.float(),
            (torch.arange(rows, device=device) + 0.5) / rows,
            (torch.arange(columns, device=device) + 0.5) / columns,
            indexing="ij",
        )
        return rearrange(torch.stack(axes, dim=-1), "f h w axes -> f (h w) axes")

    def grid(self, shape: torch.Size) -> tuple[int, int]:
        return shape[-2] // self.patch_size, shape[-1] // self.patch_size
