import pytest
import torch

from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.dataset import BounceDataset, random_prompts
from mmdiff.values.shapes import ClipShape


def test_an_item_is_a_function_of_seed_and_index_only() -> None:
    some, more = BounceDataset(10, 3), BounceDataset(100, 3)
    backwards = [some[index] for index in reversed(range(10))][::-1]
    for index in range(10):
        one, other = backwards[index], more[index]
        assert (one.caption, one.key) == (other.caption, other.key)
        assert torch.equal(one.frames, other.frames)
        assert torch.equal(one.waveform, other.waveform)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    BounceDataset(5, 0)[2]
    assert torch.equal(before, torch.get_rng_state())


def test_seeds_and_splits_give_other_events() -> None:
    keys = [
        [BounceDataset(30, seed, split=split).event(index).key for index in range(30)]
        for seed, split in ((0, "train"), (1, "train"), (0, "held_out"), (0, "all"))
    ]
    for i, one in enumerate(keys):
        for other in keys[i + 1 :]:
            assert len(set(one) & set(other)) < 3


def test_the_training_split_never_shows_a_held_out_triple() -> None:
    train, held_out = BounceDataset(500, 0), BounceDataset(200, 0, split="held_out")
    assert not any(train.event(index).is_held_out for index in range(500))
    assert all(held_out.event(index).is_held_out for index in range(200))


def test_an_item_is_its_event_drawn() -> None:
    dataset = BounceDataset(20, 1, shape=ClipShape(num_frames=5, height=32, width=48))
    for index, text in enumerate(dataset.captions()):
        sample = dataset[index]
        assert Bounce.from_key(sample.key) == dataset.event(index)
        assert sample.caption == text
        assert sample.frames.shape == (5, 32, 48, 3)
        assert sample.waveform.shape == (1, 5000)


def test_bad_arguments_say_what_is_possible() -> None:
    with pytest.raises(ValueError, match="1 clip or more"):
        BounceDataset(0)
    with pytest.raises(ValueError, match="possible are train, held_out, all"):
        BounceDataset(1, split="test")  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        BounceDataset(3)[3]


def test_prompts_are_the_same_whatever_their_number() -> None:
    assert random_prompts(5, 0, held_out=True) == random_prompts(9, 0, held_out=True)[:5]
