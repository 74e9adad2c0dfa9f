"""Evaluation: what `mmdiff evaluate` is handed by its configuration; and what it hands over."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mmdiff.evaluation.result import Result
from mmdiff.media.clip import Clip

Make = Callable[[list[str], list[int], dict[str, Any]], list[Clip]]
Progress = Callable[[str, int, int], None]
T = TypeVar("T")


@dataclass(frozen=True)
class EvaluationRun:
    """One run of `mmdiff evaluate`, as an evaluation sees it.

    pipe: the `MMDiffPipeline` that is measured; its room is above this one.
    make: (prompts, seeds, further arguments of the pipeline) -> clips, one a prompt.
    arguments: of the pipeline, as the command line has them; `make` uses them too.
    checkpoint: as it was named on the command line; None: the bundled model.
    data: the data module of clips of one's own, where it is chosen.
    folder: where plots and images go.
    """

    pipe: Any
    make: Make
    seed: int
    batch_size: int
    progress: Progress
    folder: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | None = None
    data: Any = None

    def batches(self, name: str, items: Sequence[T]) -> Iterator[tuple[int, Sequence[T]]]:
        """The index of the first item, and the items, of each batch; reports when it is done."""
        for first in range(0, len(items), self.batch_size):
            batch = items[first : first + self.batch_size]
            yield first, batch
            self.progress(name, first + len(batch), len(items))

    def seeds(self, first: int, count: int) -> list[int]:
        """Of clips `first` and on in a table: clip i has the same one in any batch."""
        return [self.seed + first + row for row in range(count)]


class Evaluation(ABC):
    """Measures a pipeline, table by table."""

    @abstractmethod
    def results(self, run: EvaluationRun) -> Iterator[Result]:
        """One table after the other, as each is finished."""
