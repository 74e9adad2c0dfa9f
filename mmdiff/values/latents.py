"""ClipLatents: a clip is one thing with two halves, either of which may be absent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

Modality = Literal["video", "audio"]
MODALITIES: tuple[Modality, ...] = ("video", "audio")


@dataclass(frozen=True)
class ClipLatents:
    """The two halves of a clip in latent space, or anything else that comes one per half.

    video  b c f h w, unit variance
    audio  b c t m, unit variance
    """

    video: Tensor | None = None
    audio: Tensor | None = None

    @property
    def modalities(self) -> tuple[Modality, ...]:
        return tuple(name for name in MODALITIES if getattr(self, name) is not None)

    @property
    def halves(self) -> list[tuple[Modality, Tensor]]:
        """Each half that is there, with its name."""
        pairs = [(name, self.get(name)) for name in MODALITIES]
        return [(name, half) for name, half in pairs if half is not None]

    @property
    def batch_size(self) -> int:
        return self._any().shape[0]

    @property
    def device(self) -> torch.device:
        return self._any().device

    def map(self, function: Callable[[Tensor], Tensor]) -> ClipLatents:
        """Apply `function` to each half that is there."""
        return ClipLatents(
            video=None if self.video is None else function(self.video),
            audio=None if self.audio is None else function(self.audio),
        )

    def zip(self, other: ClipLatents, function: Callable[[Tensor, Tensor], Tensor]) -> ClipLatents:
        """Apply `function` to the halves of both; ValueError unless both have the same halves."""
        if self.modalities != other.modalities:
            raise ValueError(
                f"cannot pair the modalities {self.modalities} with {other.modalities}"
            )
        return ClipLatents(
            video=function(self.video, other.video)
            if self.video is not None and other.video is not None
            else None,
            audio=function(self.audio, other.audio)
            if self.audio is not None and other.audio is not None
            else None,
        )

    def get(self, modality: Modality) -> Tensor | None:
        return self.video if modality == "video" else self.audio

    def replace(self, modality: Modality, half: Tensor | None) -> ClipLatents:
        """With another half of this modality, or without it."""
        return replace(self, **{modality: half})

    def to(self, *args: Any, **kwargs: Any) -> ClipLatents:
        """Like `Tensor.to`, on each half."""
        return self.map(lambda half: half.to(*args, **kwargs))

    def __getitem__(self, rows: slice | Tensor) -> ClipLatents:
        return self.map(lambda half: half[rows])

    def repeat(self, count: int) -> ClipLatents:
        """The whole batch `count` times, one after the other."""
        return self.map(lambda half: torch.cat([half] * count))

    def chunk(self, count: int) -> list[ClipLatents]:
        """The inverse of `repeat`: `count` equal parts of the batch."""
        size = self.batch_size // count
        return [self[index * size : (index + 1) * size] for index in range(count)]

    @classmethod
    def cat(cls, parts: Sequence[ClipLatents]) -> ClipLatents:
        """One batch of several; ValueError unless all have the same halves."""
        if len({part.modalities for part in parts}) > 1:
            raise ValueError(
                f"cannot join clips with {[part.modalities for part in parts]}; "
                "all rows of a batch have the same modalities"
            )
        names = parts[0].modalities
        return cls.of({name: torch.cat([getattr(part, name) for part in parts]) for name in names})

    @classmethod
    def of(cls, halves: dict[Modality, Tensor]) -> ClipLatents:
        return cls(video=halves.get("video"), audio=halves.get("audio"))

    def _any(self) -> Tensor:
        for half in (self.video, self.audio):
            if half is not None:
                return half
        raise ValueError("these latents have neither picture nor sound")
