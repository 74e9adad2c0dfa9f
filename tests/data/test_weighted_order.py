"""Shares of several sources: exact in the long run, resumable, the same on any number of ranks."""

from collections import Counter
from itertools import islice

import pytest

from mmdiff.data.loader import ResumableLoader
from mmdiff.data.weighted_order import WeightedOrder

COUNTS, WEIGHTS = (5, 40, 13), (3.0, 1.0, 0.7)


class Numbers:
    def __len__(self) -> int:
        return sum(COUNTS)

    def __getitem__(self, number: int) -> int:
        return number

    def collate(self, items: list[int]) -> list[int]:
        return list(items)


def _order(seed: int = 1, rank: int = 0, world_size: int = 1) -> WeightedOrder:
    return WeightedOrder(COUNTS, WEIGHTS, 8, seed=seed, rank=rank, world_size=world_size)


def _samples(batches: int, *, ranks: int = 1, seed: int = 1) -> list[int]:
    orders = [iter(_order(seed, rank, ranks)) for rank in range(ranks)]
    return [n for _ in range(batches) for order in orders for n in next(order)]


def _source(number: int) -> int:
    item = number % sum(COUNTS)
    return next(s for s in range(3) if item < sum(COUNTS[: s + 1]))


def test_shares_are_exact_over_all_epochs() -> None:
    order = _order()
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
    numbers = [n for epoch in range(20) for n in _order().epoch(epoch)]
    assert len(set(numbers)) == len(numbers)
    for source in range(3):
        visits = Counter(n % sum(COUNTS) for n in numbers if _source(n) == source)
        assert max(visits.values()) - min(visits.values()) <= 1
        assert len(visits) == COUNTS[source]


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_d6_ranks_do_not_matter(ranks: int) -> None:
    assert _samples(40, ranks=ranks) == _samples(40)


def test_seeds_do_matter() -> None:
    assert _samples(7) != _samples(7, seed=2)


@pytest.mark.parametrize("done", [0, 1, 6, 7, 8, 33])
def test_c3_a_run_goes_on_from_one_integer(done: int) -> None:
    first = ResumableLoader(Numbers(), _order())
    list(islice(iter(first), done))
    second = ResumableLoader(Numbers(), _order())
    second.load_state_dict(first.state_dict())
    found = [n for batch in islice(iter(second), 9) for n in batch]
    assert found == _samples(done + 9)[8 * done :]


def test_equal_halves_stay_equal() -> None:
    order = WeightedOrder((9, 9), (1, 1), 3, seed=1)
    taken = Counter(n % 18 // 9 for epoch in range(10) for n in order.epoch(epoch))
    assert taken == {0: 90, 1: 90}


@pytest.mark.parametrize(
    "counts, weights, message",
    [
        ((5, 5), (1,), "2 counts and 1 weights"),
        ((5, 5), (1, 0), "above 0"),
        ((5, 5), (1, float("nan")), "above 0"),
        ((5, 5), (1, -1), "above 0"),
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
