"""Clips for tests of the latent cache, and what fills one with them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator

from mmdiff.autoencoders.mel import LogMel
from mmdiff.data.encode import encode
from mmdiff.data.latent_clips import LatentClip, LatentClips
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.values.sample import Sample, SampleFacts


class Clips:
    """Item i is a function of (seed, i): 5 frames of 16 x 16, and the sound of two slices without
    the pre-roll."""

    def __init__(self, length: int = 5, seed: int = 0, *, bad: tuple[int, ...] = ()) -> None:
        self.length, self.seed, self.bad = length, seed, bad

    def __len__(self) -> int:
        return self.length

    def facts(self, index: int) -> SampleFacts:
        key = f"{self.seed}/{index}"
        return SampleFacts(key, f"clip {index}", f"identity of {key}")

    def __getitem__(self, index: int) -> Sample | Rejection:
        facts = self.facts(index)
        if index in self.bad:
            return Rejection(facts.key, Reason.DAMAGED, "decode", f"{facts.key} is damaged")
        generator = Generator().manual_seed(1000 * self.seed + index)
        return Sample(
            frames=torch.randint(256, (5, 16, 16, 3), generator=generator, dtype=torch.uint8),
            waveform=torch.rand(1, 5000, generator=generator) - 0.5,
            caption=facts.caption,
            key=facts.key,
        )


class SeveralTypes(Clips):
    """Clips of four kinds: with sound, without, sound alone, longer."""

    def __getitem__(self, index: int) -> Sample | Rejection:
        sample = super().__getitem__(index)
        assert isinstance(sample, Sample) and sample.frames is not None
        kind = index % 4
        if kind == 1:
            return replace(sample, waveform=None)
        if kind == 2:
            return replace(sample, frames=None)
        if kind == 3:
            longer = torch.cat([sample.frames, sample.frames[:4]])
            return replace(sample, frames=longer, waveform=torch.zeros(1, 9000))
        return sample


def fill(folder: Path, parts: dict[str, str], clips: Clips | None = None, **options: Any) -> None:
    encode(
        clips or Clips(), str(folder), mel=LogMel(), batch_size=2, shard_size=2, **parts, **options
    )


def rows(folder: Path) -> dict[str, LatentClip]:
    clips = LatentClips(str(folder))
    return {entry.key: clips[index] for index, entry in enumerate(clips.entries)}
