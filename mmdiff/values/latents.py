"""ClipLatents: a clip is one thing of several modalities, any of which may be absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

Modality = Literal["video", "audio"]
MODALITIES: tuple[Modality, ...] = ("video", "audio")


@dataclass(frozen=True)
class ClipLatents:
    """The modalities of a clip in latent space, or anything else that comes one per modality.

    video   b c f h w, unit variance
    audio   b c t m, unit variance
    others  further modalities by name, for models that have them
    """

    video: Tensor | None = None
    audio: Tensor | None = None
    others: Mapping[str, Tensor] = field(default_factory=dict)

    def items(self) -> list[tuple[Any, Tensor]]:
        """Each modality that is there, with its name, in the order that all of them have."""
        pairs = [("video", self.video), ("audio", self.audio), *self.others.items()]
        return [(name, part) for name, part in pairs if part is not None]

    @property
    def modalities(self) -> tuple[Any, ...]:
        return tuple(name for name, _ in self.items())

    @property
    def batch_size(self) -> int:
        return self.items()[0][1].shape[0]

    @property
    def device(self) -> torch.device:
        return self.items()[0][1].device

    def map(self, function: Callable[[Tensor], Tensor]) -> ClipLatents:
        """Apply `function` to each modality that is there."""
        return ClipLatents.of({name: function(part) for name, part in self.items()})

    def zip(self, other: ClipLatents, function: Callable[[Tensor, Tensor], Tensor]) -> ClipLatents:
        """Apply `function` to the modalities of both; ValueError unless both have the same."""
        if self.modalities != other.modalities:
            raise ValueError(
                f"cannot pair the modalities {self.modalities} with {other.modalities}"
            )
        parts = dict(other.items())
        return ClipLatents.of({name: function(part, parts[name]) for name, part in self.items()})

    def get(self, modality: str) -> Tensor | None:
        return dict(self.items()).get(modality)

    def replace(self, modality: str, part: Tensor | None) -> ClipLatents:
        """With another tensor for this modality, or without it."""
        parts: dict[str, Tensor] = {name: old for name, old in self.items() if name != modality}
        return ClipLatents.of(parts if part is None else {**parts, modality: part})

    def to(self, *args: Any, **kwargs: Any) -> ClipLatents:
        """Like `Tensor.to`, on each modality."""
        return self.map(lambda part: part.to(*args, **kwargs))

    def __getitem__(self, rows: slice | Tensor) -> ClipLatents:
        return self.map(lambda part: part[rows])

    def repeat(self, count: int) -> ClipLatents:
        """The whole batch `count` times, one after the other."""
        return self.map(lambda part: torch.cat([part] * count))

    def chunk(self, count: int) -> list[ClipLatents]:
        """The inverse of `repeat`: `count` equal parts of the batch."""
        size = self.batch_size // count
        return [self[index * size : (index + 1) * size] for index in range(count)]

    @classmethod
    def cat(cls, parts: Sequence[ClipLatents]) -> ClipLatents:
        """One batch of several; ValueError unless all have the same modalities."""
        if len({part.modalities for part in parts}) > 1:
            raise ValueError(
                f"cannot join clips with {[part.modalities for part in parts]}; "
                "all rows of a batch have the same modalities"
            )
        rows = [dict(part.items()) for part in parts]
        return cls.of({name: torch.cat([row[name] for row in rows]) for name in rows[0]})

    @classmethod
    def of(cls, parts: Mapping[Any, Tensor]) -> ClipLatents:
        """From tensors by the names of their modalities."""
        others = {name: part for name, part in parts.items() if name not in MODALITIES}
        return cls(parts.get("video"), parts.get("audio"), others)
