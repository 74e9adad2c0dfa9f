"""The order of samples is a function of (seed, position), whoever asks."""

from collections.abc import Sequence
from itertools import islice

import pytest
import torch
from torch import Tensor

from mmdiff.data.loader import ResumableLoader
from mmdiff.data.order import EndlessOrder


class Numbers:
    def __len__(self) -> int:
        return 23

    def __getitem__(self, number: int) -> int:
        return number

    def collate(self, items: Sequence[int]) -> Tensor:
        return torch.tensor(items)


def _samples(count: int, *, ranks: int = 1, workers: int = 0, seed: int = 1) -> list[int]:
    loaders = [
        ResumableLoader(
            Numbers(),
            EndlessOrder(23, 4, seed=seed, rank=rank, world_size=ranks),
            num_workers=workers,
        )
        for rank in range(ranks)
    ]
    batches = zip(*(islice(iter(loader), count // 4) for loader in loaders), strict=True)
    return [number for parts in batches for part in parts for number in part.tolist()]


@pytest.mark.parametrize("ranks, workers", [(2, 0), (4, 0), (1, 1), (1, 4), (2, 1)])
def test_d6_workers_and_ranks_do_not_matter(ranks: int, workers: int) -> None:
    assert _samples(80, ranks=ranks, workers=workers) == _samples(80)


def test_epochs_differ_and_cover_what_fills_batches() -> None:
    order = EndlessOrder(23, 4, seed=1)
    epochs = [[number % 23 for number in order.epoch(epoch)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert _samples(40) != _samples(40, seed=2)
    assert len(set(_samples(80))) == 80


@pytest.mark.parametrize("done", [0, 1, 4, 5, 6, 13])
@pytest.mark.parametrize("workers", [0, 2])
def test_loader_continues_where_it_was(done: int, workers: int) -> None:
    first = ResumableLoader(Numbers(), EndlessOrder(23, 4, seed=1), num_workers=workers)
    list(islice(iter(first), done))
    second = ResumableLoader(Numbers(), EndlessOrder(23, 4, seed=1))
    second.load_state_dict(first.state_dict())
    found = [number for batch in islice(iter(second), 3) for number in batch.tolist()]
    assert found == _samples(4 * (done + 3))[4 * done :]


def test_impossible_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="2 equal parts: 4"):
        EndlessOrder(23, 5, seed=1, world_size=2)
    with pytest.raises(ValueError, match="3 samples, fewer than one batch of 4"):
        EndlessOrder(3, 4, seed=1)
    loader = ResumableLoader(Numbers(), EndlessOrder(23, 4, seed=1))
    with pytest.raises(ValueError, match="inside a batch of 4"):
        loader.load_state_dict({"samples": 6})
