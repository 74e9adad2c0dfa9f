from collections import Counter

import torch

from mmdiff.bounce.bounce import CHOICES, NO_SPEED, Bounce
from mmdiff.bounce.caption import TEMPLATES, caption, synonyms
from mmdiff.bounce.dataset import random_prompts


def test_the_canonical_captions_of_the_world() -> None:
    red = Bounce(
        "small", "red", "circle", "black", "bouncing left and right", "quickly", "a high ping"
    )
    still = Bounce("large", "cyan", "square", "navy", "standing still", "not at all", "no sound")
    assert caption(red) == (
        "a small red circle bouncing left and right quickly on a black background, "
        "a high ping at each bounce"
    )
    assert caption(still) == "a large cyan square standing still on a navy background, no sound"


def test_no_two_values_share_a_word() -> None:
    for possible in CHOICES.values():
        words = [word for value in possible for word in synonyms(value)]
        assert len(words) == len(set(words))


def test_canonical_captions_tell_all_attributes_apart() -> None:
    events = random_prompts(2000, 0)
    said = {caption(event): tuple(getattr(event, name) for name in CHOICES) for event in events}
    for event in events:
        assert said[caption(event)] == tuple(getattr(event, name) for name in CHOICES)


def test_about_a_third_are_canonical_and_the_rest_differ() -> None:
    generator = torch.Generator().manual_seed(0)
    event = random_prompts(1, 7)[0]
    counts = Counter(caption(event, generator) for _ in range(2000))
    assert 0.31 < counts[caption(event)] / 2000 < 0.41
    assert len(counts) > 500


def test_some_captions_say_little_of_what_is_seen() -> None:
    generator = torch.Generator().manual_seed(3)
    event = Bounce(
        "large", "purple", "square", "navy", "falling and bouncing", "quickly", "a high ping"
    )
    seen = [word for name in ("large", "purple", "square", "navy") for word in synonyms(name)]
    drawn = [caption(event, generator) for _ in range(2000)]
    silent = sum(not any(word in text for word in seen) for text in drawn)
    assert 0.015 < silent / 2000 < 0.05


def test_captions_are_clean_english_lines() -> None:
    generator = torch.Generator().manual_seed(1)
    for event in random_prompts(1500, 8):
        text = caption(event, generator)
        assert text
        assert text == text.strip()
        assert "  " not in text
        assert "{" not in text
        assert not text.startswith(",")
        assert not text.endswith(",")
        assert " ," not in text
        assert ", ," not in text
        assert "a orange" not in text


def test_every_value_and_enough_templates_occur() -> None:
    assert len(TEMPLATES) >= 6
    generator = torch.Generator().manual_seed(2)
    texts = "\n".join(caption(event, generator) for event in random_prompts(3000, 9))
    said = [value for values in CHOICES.values() for value in values if value != NO_SPEED]
    missing = [word for value in said for word in synonyms(value) if word not in texts]
    assert not missing


def test_equal_generators_give_equal_captions() -> None:
    for event in random_prompts(20, 3):
        draws = [caption(event, torch.Generator().manual_seed(5)) for _ in range(2)]
        assert draws[0] == draws[1]
