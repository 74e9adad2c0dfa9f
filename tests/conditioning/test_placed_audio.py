"""Which tokens a span of audio determines; its seams are exact on one side and do not click."""

import pytest
import torch

from mmdiff.conditioning.placed_audio import (
    FADE_SAMPLES,
    SEAM_TOKENS,
    PlacedAudio,
    joined,
    predicted,
)
from mmdiff.values.shapes import ClipShape
from tests.conditioning.pooling import PoolingEncode, tone

SHAPE = ClipShape(17)


def mask_of(*, first: int, last: int, **seam: int) -> torch.Tensor:
    return PlacedAudio(torch.zeros(1, 17_000), first, last).mask(PoolingEncode(17), **seam)


def test_a_whole_sound_gives_all_tokens_and_none_gives_none():
    assert bool(mask_of(first=0, last=SHAPE.num_samples).all())
    assert not bool(mask_of(first=8000, last=8500).any())


@pytest.mark.parametrize("first, last", [(0, 9000), (8000, 17_000), (3000, 14_500)])
def test_given_tokens_lie_inside_the_samples_away_from_open_ends(first, last):
    # law: what lies outside of the samples has no influence on a given token
    encode = PoolingEncode(17)
    mask = mask_of(first=first, last=last, seam=0)
    inside, outside = torch.zeros(1, 17_000), torch.ones(1, 17_000)
    outside[:, first:last] = 0
    both = encode.audio(inside + outside)
    assert bool(mask.any())
    assert torch.equal((both * mask), torch.zeros_like(both))
    narrower = mask_of(first=first, last=last)
    open_ends = (first > 0) + (last < SHAPE.num_samples)
    assert int(mask.sum() - narrower.sum()) == SEAM_TOKENS * open_ends
    assert bool((narrower <= mask).all())


@pytest.mark.parametrize("hertz", [150.0, 440.0, 1900.0])
def test_a_tone_rings_on(hertz):
    whole = tone(4000, hertz=hertz)
    found = predicted(whole[:, :3800], 200)
    assert (found - whole[:, 3800:]).abs().max() < 0.02


def test_silence_stays_silence_and_noise_dies_away_or_stays_small():
    assert torch.equal(predicted(torch.zeros(1, 500), 100), torch.zeros(1, 100))
    noise = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0)) / 8
    assert predicted(noise, 4000).abs().max() < noise.abs().max()
    assert predicted(torch.full((1, 1), 0.25), 3).tolist() == [[0.25] * 3]


@pytest.mark.parametrize("first, last", [(0, 8000), (8000, 16000), (4000, 12000), (0, 16000)])
def test_given_samples_are_exact_and_the_rest_is_generated(first, last):
    given, generated = tone(16_000), tone(16_000, hertz=700) * 0.9
    sound = joined(generated[None], given[None], first=first, last=last)[0]
    assert torch.equal(sound[:, first:last], given[:, first:last])
    far = torch.ones(16_000, dtype=torch.bool)
    far[max(0, first - FADE_SAMPLES) : last + FADE_SAMPLES] = False
    assert torch.equal(sound[:, far], generated[:, far])


def test_no_click_where_the_phase_jumps():
    given, generated = tone(16_000), -tone(16_000)
    hard = given.clone()
    hard[:, 8010:] = generated[:, 8010:]  # 10 samples past a zero crossing
    sound = joined(generated, given, first=0, last=8010)
    usual = given.diff().abs().median()
    assert hard.diff().abs()[0, 8009] > 3 * usual
    assert sound.diff().abs()[0, 8000:8400].max() < 2 * given.diff().abs().max()
    assert sound.diff().abs()[0, 8009] <= 3 * usual


def test_nothing_given_is_the_generated_sound():
    generated = tone(1000)
    assert torch.equal(joined(generated, torch.zeros(1, 1000), first=0, last=0), generated)
