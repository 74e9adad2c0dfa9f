"""Each measure on clips with a known amount of what it measures added to them."""

import math

import pytest
import torch

from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw_frames
from mmdiff.evaluation import consistency
from mmdiff.evaluation.reconstruction import flicker as at_fixed_pixels
from mmdiff.values.shapes import ClipShape

EVENTS = random_prompts(6, 7)
CLIPS = [draw_frames(event, ClipShape()) for event in EVENTS]
PIXEL_MEASURES = (consistency.warp_error, consistency.flicker)


def flickering(frames: torch.Tensor, amount: float) -> torch.Tensor:
    """Every other frame brighter by `amount` of 255, the others darker."""
    sign = torch.ones(len(frames), 1, 1, 1)
    sign[::2] = -1
    return (frames + amount * sign).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize(("measure", "of_each"), list(zip(PIXEL_MEASURES, (2, 4), strict=True)))
def test_flicker_is_measured_in_proportion_and_true_clips_have_next_to_none(measure, of_each):
    for frames in (clip[:13] for clip in CLIPS[1:4]):  # in motion, fast and slow, and still
        steadiest = measure(frames)
        assert steadiest < 0.5
        found = [measure(flickering(frames, amount)) for amount in (2, 4, 8)]
        assert found == sorted(found)
        for amount, value in zip((2, 4, 8), found, strict=True):
            # what is at 8 of 255 or under cannot get darker by all of it
            assert value == pytest.approx(of_each * amount, rel=0.25, abs=0.5)


def test_motion_is_no_flicker_though_it_is_at_fixed_pixels():
    for frames in CLIPS[:3]:
        frames = frames[:13]
        assert consistency.flicker(frames) < 0.15 * at_fixed_pixels(frames)


def test_a_fade_is_a_warp_error_but_no_flicker():
    frames = torch.linspace(20, 148, 33)[:, None, None, None].expand(33, 32, 32, 3)
    fading = frames.round().to(torch.uint8)
    assert consistency.flicker(fading) < 0.1
    assert consistency.warp_error(fading) == pytest.approx(4, abs=0.05)


@pytest.mark.parametrize("amount", [0.0, 10.0, 30.0])
def test_drift_of_color_is_its_length_whatever_a_few_frames_show(amount):
    going = torch.linspace(0, 1, 33)[:, None] * torch.tensor([0.6, -0.8, 0.0]) * amount
    frames = (100 + going)[:, None, None].expand(33, 8, 8, 3).clone()
    assert consistency.color_drift(frames) == pytest.approx(amount, abs=0.01)
    frames[[4, 15, 30]] += 60
    assert consistency.color_drift(frames) == pytest.approx(amount, abs=3)
    assert math.isnan(consistency.color_drift(frames[:2]))


def test_the_range_of_motion_is_in_proportion_and_that_of_a_frozen_clip_is_nothing():
    x, y = torch.tensor([0.0, 3.0, 1.0]), torch.tensor([2.0, 2.0, 6.0])
    assert consistency.motion_range(x, y) == pytest.approx(5)
    assert consistency.motion_range(x / 2, y / 2) == pytest.approx(2.5)
    assert consistency.motion_range(x * 0, y * 0) == 0
    assert consistency.motion_range(x[:0], y[:0]) == 0
