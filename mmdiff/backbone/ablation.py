"""Ablation: what to cut from a forward pass, row by row,
so that perturbed predictions share one batched call."""

from dataclasses import dataclass

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
