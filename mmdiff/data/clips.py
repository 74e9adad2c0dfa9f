"""Clips made or read on the fly, numbered for the endless order."""

from collections.abc import Sequence
from typing import Protocol

from mmdiff.data.batch import ClipBatch
from mmdiff.media.rejection import Rejection
from mmdiff.values.sample import Sample, SampleFacts


class ClipDataset(Protocol):
    """Any dataset of samples whose item i is a function of i."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class CheckedClips(Protocol):
    """A dataset that can be encoded: it names what it holds, and tells what is bad instead of
    raising."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample | Rejection: ...

    def facts(self, index: int) -> SampleFacts | Rejection: ...


class NumberedClips:
    """A dataset of clips behind the endless order: sample number k is item k modulo its length."""

    def __init__(self, dataset: ClipDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> tuple[int, Sample]:
        return number, self.dataset[number % len(self.dataset)]

    def collate(self, items: Sequence[tuple[int, Sample]]) -> ClipBatch:
        return ClipBatch.collate(items)
