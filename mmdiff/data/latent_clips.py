"""Cached latents behind the endless order, with captions drawn anew each time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator

from mmdiff.data.batch import LatentBatch
from mmdiff.data.latent_cache import LatentCache
from mmdiff.data.order import keyed_seed
from mmdiff.values.latents import ClipLatents

CaptionDraw = Callable[[str, Generator], str]


@dataclass(frozen=True)
class LatentClip:
    """One clip of the cache: its number in the endless order, its row, its caption of this time."""

    number: int
    row: int
    caption: str


class LatentClips:
    """The latents of a cache, all in memory.

    `captions(key, generator)` draws the caption of a clip, each time from (seed, number in the
    order); without it the stored caption is used. `components` are the folders of the autoencoders
    that must have made the cache; None is not checked.
    """

    def __init__(
        self,
        folder: str,
        *,
        components: dict[str, str | None] | None = None,
        captions: CaptionDraw | None = None,
        seed: int = 0,
        modalities: Sequence[str] = ("video", "audio"),
    ) -> None:
        cache = LatentCache(folder)
        cache.check_components({name: path for name, path in (components or {}).items() if path})
        latents, self.entries = cache.read()
        self.latents = ClipLatents(**{name: getattr(latents, name) for name in modalities})
        self.captions, self.seed = captions, seed

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, number: int) -> LatentClip:
        row = number % len(self.entries)
        entry = self.entries[row]
        if self.captions is None:
            return LatentClip(number, row, entry.caption)
        generator = Generator().manual_seed(keyed_seed("caption", self.seed, number))
        return LatentClip(number, row, self.captions(entry.key, generator))

    def collate(self, items: Sequence[LatentClip]) -> LatentBatch:
        rows = torch.tensor([item.row for item in items])
        return LatentBatch(
            latents=self.latents.map(lambda half: half[rows]),
            captions=tuple(item.caption for item in items),
            sample_ids=tuple(item.number for item in items),
        )
