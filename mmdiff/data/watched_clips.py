"""All clips of a listing once, read by workers that are watched."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader

from mmdiff.data.clips import CheckedClips
from mmdiff.data.files.file_clips import NamedFailure
from mmdiff.data.files.reading_ledger import Reading, ReadingLedger
from mmdiff.data.files.reading_watch import (
    WORKER_ERRORS,
    legal_timeout,
    worker_failure,
    workers_watched,
)
from mmdiff.media.rejection import Rejection, printable
from mmdiff.values.sample import Sample


class WatchedClips:
    """Some clips of a dataset, and which of them each process is reading.

    names: of those clips, for messages.
    """

    def __init__(self, dataset: CheckedClips, indices: Sequence[int], names: Sequence[str]) -> None:
        self.dataset, self.indices, self.names = dataset, indices, names
        self.ledger = ReadingLedger(len(indices))

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> tuple[int, Sample | Rejection]:
        index = self.indices[place]
        name = printable(self.names[place])
        with self.ledger.reading(index, place), NamedFailure(index, name):
            return index, self.dataset[index]

    def where(self, reading: Reading) -> str:
        """A place in words."""
        return f"{reading}, {printable(self.names[reading.entry])}"


def read_clips(
    clips: WatchedClips, *, batch_size: int, num_workers: int = 0, timeout_seconds: float = 120
) -> Iterator[tuple[int, Sample | Rejection]]:
    """Each clip with its index in the dataset, in order; `batch_size` at a time travel from a
    worker.

    Raises ReadingFailed, which names worker and file, for a worker that is gone, does not answer
    within `timeout_seconds`, or met a fault of ours; ValueError for a timeout of 0.
    """
    loader: DataLoader[Any] = DataLoader(
        clips,  # type: ignore[arg-type]
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=list,
        timeout=legal_timeout(timeout_seconds) * bool(num_workers),
    )
    batches = iter(loader)
    with workers_watched(batches) as waiting:
        while True:
            try:
                with waiting():
                    items = next(batches)
            except StopIteration:
                return
            except WORKER_ERRORS as error:
                raise worker_failure(error, [clips]) from error
            yield from items
