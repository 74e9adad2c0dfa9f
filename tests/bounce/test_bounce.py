from dataclasses import replace

import pytest
import torch

from mmdiff.bounce.bounce import CHOICES, Bounce, triples
from mmdiff.bounce.dataset import random_prompts

RED = Bounce("small", "red", "circle", "black", "bouncing up and down", "quickly", "a high ping")


def test_a_key_gives_the_event_back() -> None:
    for event in random_prompts(200, 0):
        assert Bounce.from_key(event.key) == event


@pytest.mark.parametrize("held_out", [True, False])
def test_random_keeps_to_its_side_of_the_split(held_out: bool) -> None:
    events = random_prompts(300, 1, held_out=held_out)
    assert all(event.is_held_out == held_out for event in events)
    sides = {(event.color, event.shape, event.motion) for event in events}
    assert sides <= set(triples(held_out))


def test_the_split_is_a_partition_and_about_a_tenth_is_held_out() -> None:
    assert not set(triples(True)) & set(triples(False))
    assert set(triples(True)) | set(triples(False)) == set(triples())
    assert 6 <= len(triples(True)) <= 18


def test_every_value_occurs() -> None:
    events = random_prompts(300, 2)
    for name, possible in CHOICES.items():
        assert {getattr(event, name) for event in events} == set(possible)


@pytest.mark.parametrize("aspect_ratio", [1.0, 1.5, 0.5])
def test_the_object_stays_inside_and_moving_ones_hit_a_wall_in_two_seconds(
    aspect_ratio: float,
) -> None:
    times = torch.linspace(0, 10, 2001, dtype=torch.float64)
    for event in random_prompts(60, 3):
        x, y = event.positions(times, aspect_ratio)
        half_x, half_y = event.half_extents(aspect_ratio)
        assert x.min() >= half_x - 1e-9
        assert x.max() <= 1 - half_x + 1e-9
        assert y.min() >= half_y - 1e-9
        assert y.max() <= 1 - half_y + 1e-9
        impacts = event.impacts(2.0625, aspect_ratio)
        if aspect_ratio == 1:
            assert bool(impacts) == (event.motion != "standing still")
        for impact in impacts:
            at_x, at_y = event.positions(torch.tensor([impact.seconds]).double(), aspect_ratio)
            gap_x = min(float(at_x) - half_x, 1 - half_x - float(at_x))
            gap_y = min(float(at_y) - half_y, 1 - half_y - float(at_y))
            assert min(gap_x, gap_y) < 1e-6
            assert impact.speed <= event.highest_impact_speed + 1e-9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"color": "pink"}, "color is 'pink'; possible are red"),
        ({"motion": "standing still"}, "'standing still' goes with 'not at all' and 'no sound'"),
        ({"motion": "standing still", "speed": "not at all"}, "is given with 'not at all'"),
    ],
)
def test_impossible_events_say_what_is_possible(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RED, **changes)


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="parts"):
        Bounce.from_key("small|red")
