"""Groups: the tokens of all modalities in one span of time, as one row of the trunk.

With `frames_per_slice` 1 a group holds the tokens of one video latent frame and the audio tokens of
the same span (factorised attention), with k those of k latent frames (windows), with None the whole
clip (full joint attention): one code path, and the cost of the trunk is linear in the number of
groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class GroupLayout:
    """How the tokens of a clip lie in groups.

    latent_frames     of the video, or of the span of time of the others
    frames_per_group  latent frames of a group
    tokens            modality -> its tokens per latent frame, in the order they have in a group
    """

    latent_frames: int
    frames_per_group: int
    tokens: Mapping[str, int]

    @property
    def num_groups(self) -> int:
        return -(-self.latent_frames // self.frames_per_group)

    @property
    def padding(self) -> int:
        """Latent frames that fill up the last group."""
        return self.num_groups * self.frames_per_group - self.latent_frames

    @property
    def sizes(self) -> dict[str, int]:
        """Tokens of each modality in a group."""
        return {name: self.frames_per_group * count for name, count in self.tokens.items()}

    def pack(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Each modality  b f p d -> b s n d."""
        padded = (F.pad(tokens[name], (0, 0, 0, 0, 0, self.padding)) for name in self.tokens)
        folded = [
            rearrange(part, "b (s k) p d -> b s (k p) d", k=self.frames_per_group)
            for part in padded
        ]
        return torch.cat(folded, dim=2)

    def unpack(self, x: Tensor) -> dict[str, Tensor]:
        """b s n d -> each modality  b f p d, the inverse of `pack`."""
        parts = x.split(list(self.sizes.values()), dim=2)
        frames = (
            rearrange(part, "b s (k p) d -> b (s k) p d", k=self.frames_per_group) for part in parts
        )
        return {
            name: part[:, : self.latent_frames]
            for name, part in zip(self.tokens, frames, strict=True)
        }

    def fold_modulation(self, name: str, modulation: Tensor) -> Tensor:
        """b f p 6d by latent frame -> b s n 6 d by group; b 1 1 6 d where all tokens of the
        modality have the same."""
        modulation = rearrange(modulation, "b f p (six d) -> b f p six d", six=6)
        if modulation.shape[1:3] == (1, 1):
            return modulation
        modulation = modulation.expand(-1, self.latent_frames, self.tokens[name], -1, -1)
        modulation = F.pad(modulation, (0, 0, 0, 0, 0, 0, 0, self.padding))
        return rearrange(modulation, "b (s k) p six d -> b s (k p) six d", k=self.frames_per_group)

    def is_real(self, device: torch.device) -> Tensor | None:
        """s n, bool: which tokens are no padding; None if none is."""
        if not self.padding:
            return None
        frames = torch.arange(self.num_groups * self.frames_per_group, device=device)
        real = rearrange(frames < self.latent_frames, "(s k) -> s k", k=self.frames_per_group)
        counts = self.tokens.values()
        return torch.cat([real.repeat_interleave(count, dim=1) for count in counts], dim=1)

    def modality_index(self, device: torch.device) -> Tensor:
        """n, int: which modality each token of a group is of."""
        sizes = torch.tensor(list(self.sizes.values()), device=device)
        return torch.arange(len(sizes), device=device).repeat_interleave(sizes)
