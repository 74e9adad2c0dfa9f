"""Guider: what a difference to a weaker prediction adds to the clean estimate."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.values.context import Context
from mmdiff.values.latents import Modality


@dataclass(frozen=True)
class Term:
    """An addition to a clean estimate, and what its guider wants to remember of it."""

    value: Tensor
    memory: Tensor | None = None


@dataclass(frozen=True)
class Guider(ABC):
    """One weaker prediction, and how far to go away from it, per half of the clip.

    guidance_scale: s in x_weak + s (x - x_weak); 1 is the prediction itself, and costs nothing.
    audio_guidance_scale: s for the sound; None takes `guidance_scale`.
    interval: noise times within which it guides (arXiv 2404.07724); outside of it, nothing is added
        and no weaker prediction is made.
    """

    guidance_scale: float = 4.0
    audio_guidance_scale: float | None = None
    interval: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        first, last = self.interval
        if not 0 <= first <= last <= 1:
            raise ValueError(
                f"interval is {tuple(self.interval)}; it must be two noise times "
                "0 <= first <= last <= 1, and (0, 1) guides always"
            )

    @abstractmethod
    def weaken(self, context: Context, negative_context: Context | None) -> Context:
        """The context of the weaker prediction; ones that are the same object share one pass."""

    @abstractmethod
    def term(self, strong: Tensor, weak: Tensor, *, weight: Tensor, memory: Tensor | None) -> Term:
        """What to add to the clean estimate `strong`; exactly 0 in rows where `weight` is.

        weight: s - 1 per row, broadcastable to the estimates.
        memory: of this guider and half from the call before; None at first.
        """

    def weight(self, modality: Modality, level: Tensor) -> Tensor:
        """s - 1 where it guides, 0 elsewhere; of the shape of `level`, the noise time per row."""
        scale = self.guidance_scale
        if modality == "audio" and self.audio_guidance_scale is not None:
            scale = self.audio_guidance_scale
        first, last = self.interval
        # a half without noise is given: there is nothing to guide
        is_active = (level >= first) & (level <= last) & (level > 0)
        return torch.where(is_active, scale - 1.0, 0.0)
