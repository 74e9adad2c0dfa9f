"""LatentState: a clip on its way from noise, with what is given already held in place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mmdiff.values.latents import MODALITIES, ClipLatents


@dataclass(frozen=True)
class LatentState:
    """Latents, what is given of them, and where.

    latents  the clip as it is now: noise at first, clean at the end (in training: the clean clip)
    given    clean values of what is given; a half may be absent where nothing of it is given
    mask     1 where a token is given, 0 where it is generated; shaped like the half with one
             channel and broadcastable (b 1 f h w, b 1 t m); a half may be absent where nothing of
             it is given
    """

    latents: ClipLatents
    given: ClipLatents = field(default_factory=ClipLatents)
    mask: ClipLatents = field(default_factory=ClipLatents)

    def __post_init__(self) -> None:
        if self.given.modalities != self.mask.modalities:
            raise ValueError(
                f"given values exist for {self.given.modalities} and masks for "
                f"{self.mask.modalities}; each given half needs its mask"
            )

    def hold(self, latents: ClipLatents) -> ClipLatents:
        """`latents` with the given tokens put back exactly."""
        return self._per_half(
            latents, lambda half, given, mask: torch.where(mask.bool(), given.to(half), half)
        )

    def time(self, levels: ClipLatents) -> ClipLatents:
        """The noise level of each token: `levels` (b 1 1 1 1, b 1 1 1),
        and 0 where a token is given."""
        return self._per_half(levels, lambda level, _, mask: level * (1 - mask.to(level)))

    def generated(self, modality: str) -> Tensor | None:
        """1 where a token of `modality` is generated, or None if all of it is."""
        mask = self.mask.video if modality == "video" else self.mask.audio
        return None if mask is None else 1 - mask

    def with_latents(self, latents: ClipLatents) -> LatentState:
        return replace(self, latents=latents)

    def _per_half(self, halves: ClipLatents, function) -> ClipLatents:  # type: ignore[no-untyped-def]
        result = {}
        for name in MODALITIES:
            half, given, mask = halves.get(name), self.given.get(name), self.mask.get(name)
            if half is None:
                continue
            result[name] = half if mask is None or given is None else function(half, given, mask)
        return ClipLatents.of(result)
