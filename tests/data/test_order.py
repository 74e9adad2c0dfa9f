"""The order of samples is a function of (seed, position), whoever asks."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice

import pytest
import torch
from torch import Tensor

from mmdiff.data.loader import ResumableLoader
from mmdiff.data.order import EndlessOrder, WeightedOrder

COUNTS, WEIGHTS = (5, 40, 13), (3.0, 1.0, 0.7)


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


@pytest.mark.parametrize("ranks, workers", [(4, 0), (2, 2)])
def test_d6_workers_and_ranks_do_not_matter(ranks: int, workers: int) -> None:
    assert _samples(80, ranks=ranks, workers=workers) == _samples(80)


def test_epochs_differ_and_cover_what_fills_batches() -> None:
    order = EndlessOrder(23, 4, seed=1)
    epochs = [[number % 23 for number in order.epoch(epoch)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert _samples(40) != _samples(40, seed=2)
    assert len(set(_samples(80))) == 80


@pytest.mark.parametrize("done, workers", [(0, 0), (1, 0), (5, 0), (6, 0), (13, 0), (4, 2)])
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


def _weighted(seed: int = 1, rank: int = 0, world_size: int = 1) -> WeightedOrder:
    return WeightedOrder(COUNTS, WEIGHTS, 8, seed=seed, rank=rank, world_size=world_size)


def _weighted_samples(batches: int, *, ranks: int = 1, seed: int = 1) -> list[int]:
    orders = [iter(_weighted(seed, rank, ranks)) for rank in range(ranks)]
    return [n for _ in range(batches) for order in orders for n in next(order)]


def _source(number: int) -> int:
    item = number % sum(COUNTS)
    return next(s for s in range(3) if item < sum(COUNTS[: s + 1]))


def test_shares_are_exact_over_all_epochs() -> None:
    order = _weighted()
    draws = order.batches_per_epoch * 8
    taken = Counter[int]()
    for epoch in range(50):
        numbers = order.epoch(epoch)
        assert len(numbers) == draws
        taken.update(map(_source, numbers))
        for source, weight in enumerate(WEIGHTS):
            share = weight / sum(WEIGHTS) * draws * (epoch + 1)
            assert abs(taken[source] - share) <= 1


def test_a_source_gives_each_item_once_before_any_again() -> None:
    numbers = [n for epoch in range(20) for n in _weighted().epoch(epoch)]
    assert len(set(numbers)) == len(numbers)
    for source in range(3):
        visits = Counter(n % sum(COUNTS) for n in numbers if _source(n) == source)
        assert max(visits.values()) - min(visits.values()) <= 1
        assert len(visits) == COUNTS[source]


@pytest.mark.parametrize("ranks", [2, 8])
def test_d6_ranks_do_not_matter_to_shares(ranks: int) -> None:
    assert _weighted_samples(40, ranks=ranks) == _weighted_samples(40)


def test_seeds_matter_to_shares() -> None:
    assert _weighted_samples(7) != _weighted_samples(7, seed=2)


@pytest.mark.parametrize("done", [0, 1, 6, 7, 8, 33])
def test_c3_a_weighted_run_goes_on_from_one_integer(done: int) -> None:
    order = _weighted()
    order.start_batch = order.batch_after(8 * done)
    found = [n for batch in islice(iter(order), 9) for n in batch]
    assert found == _weighted_samples(done + 9)[8 * done :]


def test_equal_shares_stay_equal() -> None:
    order = WeightedOrder((9, 9), (1, 1), 3, seed=1)
    taken = Counter(n % 18 // 9 for epoch in range(10) for n in order.epoch(epoch))
    assert taken == {0: 90, 1: 90}


@pytest.mark.parametrize(
    "counts, weights, message",
    [
        ((10, 0), (1, 1), "source 1 is empty"),
        ((5, 5), (1, 1e-3), r"weights\[1\] is 0.001.*at least 0.125"),
        ((2, 3), (1, 1), "5 samples, fewer than one batch of 8"),
    ],
)
def test_v10_impossible_mixtures(
    counts: tuple[int, ...], weights: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        WeightedOrder(counts, weights, 8, seed=1)
