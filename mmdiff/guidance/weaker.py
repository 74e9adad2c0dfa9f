"""Weaker: one prediction of the batched call, the one of full strength included."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch

from mmdiff.backbone.ablation import Ablation
from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents


class Denoise(Protocol):
    """(latents, time, context) -> clean estimate, with parts cut where an ablation says so."""

    def __call__(
        self,
        latents: ClipLatents,
        time: ClipLatents,
        context: Context,
        *,
        ablation: Ablation | None = None,
    ) -> ClipLatents: ...


@dataclass(frozen=True)
class Weaker:
    """What a prediction is made from; weaker than another in one of the three.

    context   what it is told, one row per row of the latents
    ablation  what is cut in its rows
    denoiser  who makes it: those of another take a call of their own
    """

    context: Context
    denoiser: Denoise
    ablation: Ablation | None = None

    def cut(
        self, *, time: bool = False, view: bool = False, blocks: tuple[int, ...] = ()
    ) -> Weaker:
        """The same without the adapters that carry time, without the view of picture and sound on
        each other, or without `blocks`: in all rows."""
        rows = torch.ones(self.context.batch_size, dtype=torch.bool)
        ablation = Ablation(
            without_time=rows if time else None,
            without_view=rows if view else None,
            without_blocks=rows if blocks else None,
            blocks=blocks,
        )
        return replace(self, ablation=ablation)

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for predictions that share a pass: by the same denoiser, of the same context
        object, with equal cuts."""
        cut = self.ablation
        if cut is None:
            return id(self.denoiser), id(self.context), None
        rows = (cut.without_time, cut.without_view, cut.without_blocks)
        masks = tuple(None if mask is None else tuple(mask.tolist()) for mask in rows)
        return id(self.denoiser), id(self.context), (*masks, cut.blocks)
