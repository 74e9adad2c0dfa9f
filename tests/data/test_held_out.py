"""What is held out of training: by name, always the same clips, on one side only."""

from itertools import islice

import pytest

from mmdiff.data.clips import NumberedClips
from mmdiff.data.datamodule import DataModule
from mmdiff.data.held_out import HeldOutOrder, held_out
from tests.training.tiny import TinyData

KEYS = [f"clips/{index:04d}.mp4" for index in range(1000)]


def test_a_fraction_is_drawn_by_name_alone() -> None:
    """So a clip stays on its side whatever is added, left out or moved in the list."""
    out = {KEYS[index] for index in held_out(KEYS, fraction=0.1)}
    assert 70 < len(out) < 130
    some = KEYS[::-3]
    assert {some[index] for index in held_out(some, fraction=0.1)} == out & set(some)
    assert out < {KEYS[index] for index in held_out(KEYS, fraction=0.2)}


def test_a_number_of_clips_is_that_many_and_grows_by_what_it_was() -> None:
    before: set[int] = set()
    for number in (1, 7, 100, 999):
        out = held_out(KEYS, clips=number)
        assert len(out) == number and before <= set(out)
        before = set(out)


def test_spans_of_one_file_stay_together() -> None:
    keys = [f"{key}#{start}-{start + 2}" for key in KEYS[:50] for start in (0, 2.5)]
    out = held_out(keys, fraction=0.3)
    assert {index // 2 for index in out} == set(held_out(KEYS[:50], fraction=0.3))
    assert len(out) == 2 * len(held_out(KEYS[:50], fraction=0.3))


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"fraction": 0.5, "clips": 3}, "two ways"),
        ({"fraction": 0.0}, "above 0 and below 1"),
        ({"fraction": 1.0}, "above 0 and below 1"),
        ({"clips": 0}, "from 1 to"),
        ({"clips": 3}, "must stay on both sides"),
        ({"fraction": 1e-9}, "must stay on both sides"),
    ],
)
def test_numbers_that_hold_out_nothing_or_all_are_refused(numbers: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        held_out(KEYS[:3], **numbers)


def test_both_sides_together_are_all_clips() -> None:
    data = DataModule(NumberedClips(TinyClips()), 4, seed=0, val_clips=6)
    training = {number for batch in islice(data.order(rank=0, world_size=1), 8) for number in batch}
    assert len(data.train_set) == 16 and len(data.val_set) == 6
    items = {data.train_set[number][1] for number in training}
    held = {data.val_set[number][1] for number in range(6)}
    assert items | held == set(range(22)) and not items & held


class TinyClips:
    def __len__(self) -> int:
        return 22

    def __getitem__(self, index: int) -> int:
        return index


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_validate_each_clip_in_as_many_batches(world_size: int) -> None:
    buckets = {"a": range(7), "b": [7, 8], "c": [9]}
    ranks = [
        list(HeldOutOrder(buckets, 3, rank=r, world_size=world_size)) for r in range(world_size)
    ]
    assert len({len(batches) for batches in ranks}) == 1
    assert {clip for batches in ranks for batch in batches for clip in batch} == set(range(10))
    for batches in zip(*ranks, strict=True):
        assert all(batches)
        kinds = {next(k for k, v in buckets.items() if clip in v) for b in batches for clip in b}
        assert len(kinds) == 1


def test_what_does_not_name_its_clips_is_told_what_to_do() -> None:
    data = DataModule(TinyData(), 4, seed=0, val_clips=2)
    with pytest.raises(ValueError, match="give val_dataset"):
        data.train_dataloader()
    with pytest.raises(ValueError, match="give one of them"):
        DataModule(TinyData(), 4, seed=0, val_clips=2, val_dataset=TinyData())
