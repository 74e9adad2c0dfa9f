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
    """Clips in media space; a modality that they do not have is None for all of them.

    frames      b frames height width 3, uint8, or None
    waveform    b samples, float32 in [-1, 1], or None
    captions    one per clip
    sample_ids  the number of each sample in the endless order, which keys its noise
    frame_rate, sample_rate   of all clips, where the dataset knows
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
        does not say is not known."""
        for name, there, found, wanted in (
            ("frame_rate", self.frames, self.frame_rate, frame_rate),
            ("sample_rate", self.waveform, self.sample_rate, sample_rate),
        ):
            if there is not None and None not in (found, wanted) and found != wanted:
                raise ValueError(
                    f"these clips have {name} {found}, and what is trained on them takes {wanted}: "
                    f"set data.spec.{name}={wanted}, or train it at {found}"
                )

    @property
    def picture(self) -> Tensor:
        """The frames; ValueError where the clips have none."""
        return _there(self.frames, "video")

    @property
    def sound(self) -> Tensor:
        """The waveform; ValueError where the clips have none."""
        return _there(self.waveform, "audio")

    def to(self, *args: Any, **kwargs: Any) -> ClipBatch:
        """Like `Tensor.to`, on frames and waveform."""
        return replace(
            self,
            frames=None if self.frames is None else self.frames.to(*args, **kwargs),
            waveform=None if self.waveform is None else self.waveform.to(*args, **kwargs),
        )

    @classmethod
    def collate(cls, items: Sequence[tuple[int, Sample]]) -> ClipBatch:
        """Stack numbered samples, which have the same modalities, shapes and rates."""
        samples = [sample for _, sample in items]
        frames = [one.frames for one in samples if one.frames is not None]
        waveforms = [one.waveform for one in samples if one.waveform is not None]
        # a loader that mixes types would lose clips here without a word
        assert {len(frames), len(waveforms)} <= {0, len(samples)}, "clips of several types"
        return cls(
            frames=torch.stack(frames) if frames else None,
            waveform=torch.cat(waveforms) if waveforms else None,
            captions=tuple(one.caption for one in samples),
            sample_ids=tuple(number for number, _ in items),
            frame_rate=samples[0].frame_rate,
            sample_rate=samples[0].sample_rate,
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


def _there(part: Tensor | None, name: str) -> Tensor:
    if part is None:
        raise ValueError(
            f"these clips have no {name}, and what is trained on them needs it: leave such clips "
            f"out, with data.spec.{name}=required where the data are files"
        )
    return part
