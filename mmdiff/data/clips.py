"""Clips made or read on the fly, numbered for the endless order."""

from collections.abc import Sequence
from typing import Protocol

from mmdiff.data.batch import ClipBatch
from mmdiff.media.rejection import Rejection
from mmdiff.values.sample import Sample, SampleFacts


class CheckedClips(Protocol):
    """A dataset that can be encoded: it names what it holds, and gives a rejection for what is
    bad."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample | Rejection: ...

    def facts(self, index: int) -> SampleFacts | Rejection: ...


class NumberedClips:
    """Clips, whose item i is a function of i, behind the endless order: sample number k is item k
    modulo their number.

    indices: the items that it is made of; None: all.
    """

    def __init__(self, dataset: Sequence[Sample], indices: Sequence[int] | None = None) -> None:
        self.dataset = dataset
        self.indices = range(len(dataset)) if indices is None else indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> tuple[int, Sample]:
        return number, self.dataset[self.indices[number % len(self)]]

    def keys(self) -> Sequence[str]:
        return [str(index) for index in self.indices]

    def subset(self, indices: Sequence[int], *, is_held_out: bool) -> "NumberedClips":
        return NumberedClips(self.dataset, [self.indices[index] for index in indices])

    def name_of(self, number: int) -> str:
        """Which clip a sample is, for messages."""
        return f"clip {self.indices[number % len(self)]} of {type(self.dataset).__name__}"

    def collate(self, items: Sequence[tuple[int, Sample]]) -> ClipBatch:
        return ClipBatch.collate(items)
