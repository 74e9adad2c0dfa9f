"""Which tokens a stretch of sound determines."""

import pytest
import torch

from mmdiff.conditioning.sound_tokens import SEAM_TOKENS, sound_tokens
from mmdiff.values.shapes import ClipShape
from tests.conditioning.pooling import GRID, PoolingEncode

SHAPE = ClipShape(17)


def test_a_whole_sound_gives_all_tokens_and_none_gives_none():
    assert bool(sound_tokens(SHAPE, GRID, first=0, last=SHAPE.num_samples).all())
    assert not bool(sound_tokens(SHAPE, GRID, first=8000, last=8500).any())


@pytest.mark.parametrize("first, last", [(0, 9000), (8000, 17_000), (3000, 14_500)])
def test_given_tokens_lie_inside_the_samples_away_from_open_ends(first, last):
    # law: what lies outside of the samples has no influence on a given token
    encode = PoolingEncode(17)
    mask = sound_tokens(SHAPE, GRID, first=first, last=last, seam=0)
    inside, outside = torch.zeros(1, 17_000), torch.ones(1, 17_000)
    outside[:, first:last] = 0
    both = encode.audio(inside + outside)
    assert bool(mask.any())
    assert torch.equal((both * mask), torch.zeros_like(both))
    narrower = sound_tokens(SHAPE, GRID, first=first, last=last)
    open_ends = (first > 0) + (last < SHAPE.num_samples)
    assert int(mask.sum() - narrower.sum()) == SEAM_TOKENS * open_ends
    assert bool((narrower <= mask).all())
