"""Batches: what a loader hands to a module, as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from mmdiff.values.context import Context
from mmdiff.values.latents import ClipLatents
from mmdiff.values.sample import Sample


@dataclass(frozen=True)
class ClipBatch:
    """Clips in media space; a half that they do not have is None for all of them.

    frames      b frames height width 3, uint8, or None
    waveform    b samples, float32 in [-1, 1], or None
    captions    one per clip
    sample_ids  the number of each sample in the endless order, which keys its noise
    frame_rate, sample_rate   of all clips, where the dataset tells
    """

    frames: Tensor | None
    waveform: Tensor | None
    captions: tuple[str, ...]
    sample_ids: tuple[int, ...]
    frame_rate: Fraction | None = None
    sample_rate: int | None = None

    def __len__(self) -> int:
        return len(self.captions)

    def check_rates(
        self, *, frame_rate: Fraction | None = None, sample_rate: int | None = None
    ) -> None:
        """Raise ValueError unless the clips have these rates; None is not asked, and what a dataset
        does not tell is not known."""
        wanted = {"frame_rate": frame_rate, "sample_rate": sample_rate}
        halves = {"frame_rate": self.frames, "sample_rate": self.waveform}
        for name, rate in wanted.items():
            found = getattr(self, name)
            if halves[name] is None or None in (rate, found) or rate == found:
                continue
            raise ValueError(
                f"these clips have {name} {found}, and what is trained on them takes {rate}: set "
                f"data.spec.{name}={rate}, or train it at {found}"
            )

    @property
    def picture(self) -> Tensor:
        """The frames; ValueError where the clips have none."""
        if self.frames is None:
            raise ValueError(
                "these clips have no picture, and what is trained on them needs one: leave such "
                "clips out, with data.spec.picture=required where the data are files"
            )
        return self.frames

    @property
    def sound(self) -> Tensor:
        """The waveform; ValueError where the clips have none."""
        if self.waveform is None:
            raise ValueError(
                "these clips have no sound, and what is trained on them needs it: leave such clips "
                "out, with data.spec.sound=required where the data are files"
            )
        return self.waveform

    def to(self, *args: Any, **kwargs: Any) -> ClipBatch:
        """Like `Tensor.to`, on frames and waveform."""
        return replace(
            self,
            frames=None if self.frames is None else self.frames.to(*args, **kwargs),
            waveform=None if self.waveform is None else self.waveform.to(*args, **kwargs),
        )

    @classmethod
    def collate(cls, items: Sequence[tuple[int, Sample]]) -> ClipBatch:
        """Stack numbered samples; ValueError unless all have the same halves and shapes."""
        numbers, samples = [number for number, _ in items], [sample for _, sample in items]
        frames = _all_or_none([sample.frames for sample in samples], samples, "frames")
        waveforms = _all_or_none([sample.waveform for sample in samples], samples, "waveform")
        return cls(
            frames=None if frames is None else torch.stack(frames),
            waveform=None if waveforms is None else torch.cat(waveforms),
            captions=tuple(sample.caption for sample in samples),
            sample_ids=tuple(numbers),
            frame_rate=_one_rate(samples, "frame_rate"),
            sample_rate=_one_rate(samples, "sample_rate"),
        )


@dataclass(frozen=True)
class LatentBatch:
    """Clips in latent space, unit variance: video b c f h w, audio b c t m; captions and sample ids
    as in `ClipBatch`.

    context   the captions as a frozen text encoder read them, where a cache holds that; else None
    """

    latents: ClipLatents
    captions: tuple[str, ...]
    sample_ids: tuple[int, ...]
    context: Context | None = None

    def __len__(self) -> int:
        return len(self.captions)

    def to(self, *args: Any, **kwargs: Any) -> LatentBatch:
        context = None if self.context is None else self.context.to(*args, **kwargs)
        return replace(self, latents=self.latents.to(*args, **kwargs), context=context)


def _one_rate(samples: list[Sample], name: str) -> Any:
    rates = {getattr(sample, name) for sample in samples}
    if len(rates) > 1:
        raise ValueError(
            f"a batch takes clips of one {name}, and these have "
            f"{' and '.join(sorted(map(str, rates)))}; give them one spec"
        )
    return next(iter(rates), None)


def _all_or_none(
    halves: list[Tensor | None], samples: list[Sample], name: str
) -> list[Tensor] | None:
    there = [half for half in halves if half is not None]
    shapes = {half if half is None else tuple(half.shape) for half in halves}
    if len(shapes) > 1:
        unlike = next(s.key for s, h in zip(samples, halves, strict=True) if not _like(h, halves))
        raise ValueError(
            f"a batch takes clips that are alike, and {unlike!r} has other {name} than "
            f"{samples[0].key!r}: {sorted(map(str, shapes))}; encode them, or give them one spec"
        )
    return there or None


def _like(half: Tensor | None, halves: list[Tensor | None]) -> bool:
    first = halves[0]
    if half is None or first is None:
        return half is first
    return half.shape == first.shape
