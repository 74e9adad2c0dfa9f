"""LatentState: a clip on its way from noise, with what is given already held in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mmdiff.values.latents import ClipLatents, Modality


@dataclass(frozen=True)
class LatentState:
    """Latents, what is given of them, and where.

    latents  the clip as it is now: noise at first, clean at the end (in training: the clean clip)
    given    clean values of what is given; a modality may be absent where nothing of it
             is given
    mask     how strongly a token is kept: 1 exactly, 0 not at all; between, it is known up to the
             noise level 1 - mask (partial noise). Shaped like the modality with one channel and
             broadcastable (b 1 f h w, b 1 t m); a modality may be absent where nothing of it
             is given
    """

    latents: ClipLatents
    given: ClipLatents = field(default_factory=ClipLatents)
    mask: ClipLatents = field(default_factory=ClipLatents)

    def hold(self, latents: ClipLatents) -> ClipLatents:
        """`latents` with the tokens that are given exactly put back."""
        given, parts = dict(self.given.items()), dict(latents.items())
        for name, mask in self.mask.items():
            if (part := parts.get(name)) is not None:
                parts[name] = torch.where(mask >= 1, given[name].to(part), part)
        return ClipLatents.of(parts)

    def time(self, levels: ClipLatents) -> ClipLatents:
        """The noise level of each token: `levels` (b 1 1 1 1, b 1 1 1), but no more than what
        its mask leaves open: 0 where a token is given exactly."""
        masks = dict(self.mask.items())
        return ClipLatents.of(
            {
                name: torch.minimum(level, 1 - masks[name].to(level)) if name in masks else level
                for name, level in levels.items()
            }
        )

    def generated(self, modality: Modality) -> Tensor | None:
        """1 where there is something to generate in a token of `modality`, 0 where it is given
        exactly; None if nothing of it is given."""
        mask = self.mask.get(modality)
        return None if mask is None else (mask < 1).to(mask)

    def give(self, modality: Modality, values: Tensor, mask: Tensor) -> LatentState:
        """The state in which `values` (shaped like the modality) are given too, kept as strongly as
        `mask` says. Where a token is given already the stronger wins, the later one between equals.

        Raises ValueError if the state has no such modality, or the values are of another shape.
        """
        part = self.latents.get(modality)
        if part is None or values.shape[1:] != part.shape[1:]:
            got = "none" if part is None else tuple(part.shape[1:])
            raise ValueError(
                f"{modality} latents of shape {tuple(values.shape[1:])} are given to a clip whose "
                f"own are {got}; they must be alike"
            )
        values = values.to(part).expand_as(part)
        mask = mask.to(part).expand(len(part), *mask.shape[1:])
        before, old = self.given.get(modality), self.mask.get(modality)
        if before is not None and old is not None:
            values = torch.where(mask >= old, values, before)
            mask = torch.maximum(mask, old)
        given, masks = self.given.replace(modality, values), self.mask.replace(modality, mask)
        return replace(self, given=given, mask=masks)

    def with_latents(self, latents: ClipLatents) -> LatentState:
        return replace(self, latents=latents)

    @classmethod
    def cat(cls, states: Sequence[LatentState]) -> LatentState:
        """The rows of several states as one batch; nothing is given of a modality in the rows of
        those that give nothing of it."""
        latents = ClipLatents.cat([state.latents for state in states])
        named = {name for state in states for name in state.mask.modalities}
        whole = [state._expanded(named) for state in states]
        return cls(
            latents,
            ClipLatents.cat([state.given for state in whole]),
            ClipLatents.cat([state.mask for state in whole]),
        )

    def _expanded(self, modalities: set[Modality]) -> LatentState:
        """With masks of full shape, of 0 where nothing is given of one of `modalities`."""
        state = self
        for name in modalities:
            part = self.latents.get(name)
            if part is not None:
                state = state.give(name, part, part.new_zeros(len(part), 1, *part.shape[2:]))
        return state
