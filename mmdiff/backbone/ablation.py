"""Ablation: what to cut from a forward pass, row by row,
so that perturbed predictions share one batched call."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ablation:
    """What to cut. Each of the masks is b, bool, True in the rows that are cut; None cuts nothing.

    without_time      temporal attention
    without_view      the attention of the modalities to each other, inside their group
    without_blocks    the blocks named in `blocks`
    """

    without_time: Tensor | None = None
    without_view: Tensor | None = None
    without_blocks: Tensor | None = None
    blocks: tuple[int, ...] = ()

    @classmethod
    def cat(cls, parts: list["Ablation | None"], batch_size: int) -> "Ablation | None":
        """One ablation for a batch of `parts`, each of `batch_size` rows."""
        if all(part is None for part in parts):
            return None
        blocks = {part.blocks for part in parts if part is not None and part.blocks}
        if len(blocks) > 1:
            raise ValueError(f"one batched call cuts one set of blocks, not {sorted(blocks)}")

        def join(name: str) -> Tensor | None:
            masks = [None if part is None else getattr(part, name) for part in parts]
            if all(mask is None for mask in masks):
                return None
            nothing = torch.zeros(batch_size, dtype=torch.bool)
            return torch.cat([nothing if mask is None else mask.cpu() for mask in masks])

        return cls(
            join("without_time"),
            join("without_view"),
            join("without_blocks"),
            next(iter(blocks), ()),
        )
