"""Batches from several buckets: the law of the order, on any number of ranks, from any place."""

from collections import Counter
from itertools import islice

import pytest

from mmdiff.data.bucket_order import BucketOrder
from mmdiff.data.order import EndlessOrder

BUCKETS = {"small": list(range(0, 40)), "large": list(range(40, 50)), "silent": [50, 51, 52, 53]}
SIZES = {"small": 8, "large": 2, "silent": 4}


def order(*, seed: int = 1, rank: int = 0, world_size: int = 1) -> BucketOrder:
    return BucketOrder(BUCKETS, SIZES, seed=seed, rank=rank, world_size=world_size)


def test_each_batch_is_of_one_bucket_and_whole() -> None:
    for batch in islice(order(), 200):
        (name,) = {n for n, indices in BUCKETS.items() for k in batch if k % 54 in indices}
        assert len(batch) == SIZES[name] == len(set(batch))


def test_an_epoch_of_a_bucket_holds_each_clip_once() -> None:
    seen = [k for batch in islice(order(), 400) for k in batch]
    assert max(Counter(seen).values()) == 1
    first_epoch = {k for k in seen if k < 54}
    assert first_epoch == set(range(54))


def test_batches_without_probabilities_are_as_many_as_the_buckets_hold() -> None:
    names = Counter(order().bucket(index) for index in range(4000))
    assert names["small"] / 4000 == pytest.approx(5 / 11, abs=0.03)
    assert names["large"] / 4000 == pytest.approx(5 / 11, abs=0.03)
    assert names["silent"] / 4000 == pytest.approx(1 / 11, abs=0.03)
    wanted = {"small": 1.0, "large": 0.0, "silent": 3.0}
    chosen = BucketOrder(BUCKETS, SIZES, seed=1, probabilities=wanted)
    names = Counter(chosen.bucket(index) for index in range(4000))
    assert names["large"] == 0 and names["silent"] / 4000 == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("place", [0, 1, 17, 60])
def test_it_is_entered_at_any_place(place: int) -> None:
    whole = list(islice(order(), 80))
    later = order()
    later.start_batch = later.batch_after(order().samples_before(place))
    assert later.start_batch == place
    assert list(islice(later, 80 - place)) == whole[place:]


def test_ranks_cut_the_same_batches() -> None:
    whole = list(islice(order(), 60))
    parts = [list(islice(order(rank=rank, world_size=2), 60)) for rank in range(2)]
    assert [one + two for one, two in zip(*parts, strict=True)] == whole


def test_another_seed_is_another_order() -> None:
    assert list(islice(order(), 20)) != list(islice(order(seed=2), 20))
    one = BucketOrder({"all": range(23)}, 4, seed=1)
    batches = list(islice(one, 15))
    assert all(0 <= k % 23 < 23 for batch in batches for k in batch)
    assert [len(b) for b in batches] == [len(b) for b in islice(EndlessOrder(23, 4, seed=1), 15)]


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(ValueError, match="the bucket large has 10 samples, fewer than one batch"):
        BucketOrder(BUCKETS, 16, seed=0)
    with pytest.raises(ValueError, match="into 4 equal parts"):
        order(world_size=4)
    with pytest.raises(ValueError, match="batch_size names the buckets"):
        BucketOrder(BUCKETS, {"small": 8}, seed=0)
    with pytest.raises(ValueError, match="probabilities names the buckets"):
        BucketOrder(BUCKETS, SIZES, seed=0, probabilities={"tiny": 1.0})
    with pytest.raises(ValueError, match="0 or more"):
        BucketOrder(BUCKETS, SIZES, seed=0, probabilities=dict.fromkeys(BUCKETS, 0.0))
    with pytest.raises(ValueError, match="inside a batch"):
        order().batch_after(order().samples_before(9) + 1)
