"""What the blocks of a forward pass are given: the tokens of each modality, and what they share."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from mmdiff.backbone.ablation import Ablation
from mmdiff.backbone.groups import GroupLayout


@dataclass(frozen=True)
class ModalityTokens:
    """The tokens of one modality, p of them per latent frame, and what is known of them.

    tokens      b f p d
    positions   f p 3: seconds, row and column as a fraction of the grid
    embedding   b f|1 p|1 d: of their noise times; 1 where all frames or tokens have the same
    modulation  b f|1 p|1 6d: what shifts, scales and gates them in the blocks
    grid        rows and columns of tokens in a latent frame; 1 and 1 for audio, which has no place
    """

    tokens: Tensor
    positions: Tensor
    embedding: Tensor
    modulation: Tensor
    grid: tuple[int, int]

    @property
    def seconds(self) -> Tensor:
        """f p"""
        return self.positions[..., 0]


@dataclass(frozen=True)
class TrunkInput:
    """What all blocks of a forward pass share; each mapping is by modality.

    layout        how the tokens lie in groups
    modulation    b s|1 n|1 6 d: shift, scale and gate of the attention and of the feed-forward
    rotary        n head_dim/2, complex: positions inside a group
    visible       (b s) 1 n n, bool: which tokens of a group attend to which; None: all to all
    seconds       f p: when each token is
    context       b l d text tokens
    context_mask  b 1 1 l, bool; None: all count
    ablation      what to cut, per row
    """

    layout: GroupLayout
    modulation: Mapping[str, Tensor]
    rotary: Tensor
    visible: Tensor | None
    seconds: Mapping[str, Tensor]
    context: Tensor
    context_mask: Tensor | None
    ablation: Ablation | None


def group_layout(
    tokens: Mapping[str, ModalityTokens], *, frames_per_group: int | None
) -> GroupLayout:
    """How the tokens lie in groups; ValueError if the modalities do not last equally long."""
    frames = {name: part.tokens.shape[1] for name, part in tokens.items()}
    if len(set(frames.values())) != 1:
        raise ValueError(f"all modalities must last equally long, in latent frames; got {frames}")
    latent_frames = next(iter(frames.values()))
    return GroupLayout(
        latent_frames,
        min(frames_per_group or latent_frames, latent_frames),
        {name: part.tokens.shape[2] for name, part in tokens.items()},
    )


def group_positions(
    layout: GroupLayout, tokens: Mapping[str, ModalityTokens], *, frame_seconds: float
) -> Tensor:
    """n 3: positions of the tokens of the first group, counted in latent frames and tokens.

    Groups are regular, and rotary scores depend on distances only: one table serves them all.
    """
    first = [part.positions[: layout.frames_per_group] for part in tokens.values()]
    joined = torch.cat([rearrange(x, "f p axes -> (f p) axes") for x in first])
    rows, columns = max(part.grid for part in tokens.values())
    return joined * torch.tensor([1 / frame_seconds, rows, columns], device=joined.device)


def visible(
    layout: GroupLayout, batch_size: int, ablation: Ablation | None, device: torch.device
) -> Tensor | None:
    """(b s) 1 n n, bool: which tokens of a group attend to which; None if all attend to all."""
    real = layout.is_real(device)
    isolated = None if ablation is None else ablation.without_view
    if real is None and isolated is None:
        return None
    count = sum(layout.sizes.values())
    sees = torch.ones(batch_size, layout.num_groups, count, count, dtype=torch.bool, device=device)
    if real is not None:
        sees &= real[None, :, None, :]
    if isolated is not None:
        owner = layout.modality_index(device)
        sees &= (owner[:, None] == owner) | ~isolated.to(device)[:, None, None, None]
    return rearrange(sees, "b s n m -> (b s) 1 n m")
