"""Each measure on clips with a known amount of what it measures added to them."""

from dataclasses import replace

import pytest
import torch

from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw_frames
from mmdiff.bounce.tracking import track
from mmdiff.evaluation import consistency
from mmdiff.evaluation.reconstruction import flicker as at_fixed_pixels
from mmdiff.values.shapes import ClipShape

EVENTS = random_prompts(6, 7)
CLIPS = [draw_frames(event, ClipShape()) for event in EVENTS]
TRACKS = [track(frames) for frames in CLIPS]
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
def test_drift_of_color_is_its_length(amount):
    for followed in TRACKS:
        going = torch.linspace(0, 1, 33)[:, None] * torch.tensor([0.6, -0.8, 0.0]) * amount
        assert consistency.color_drift(
            replace(followed, color=followed.color + going)
        ) == pytest.approx(amount, abs=0.5)


@pytest.mark.parametrize("percent", [0.0, 10.0, 30.0])
def test_drift_of_size_is_that_of_the_extent(percent):
    for followed in TRACKS:
        larger = 1 + percent / 100 * torch.linspace(0, 1, 33)
        assert consistency.size_drift(
            replace(followed, area=followed.area * larger**2)
        ) == pytest.approx(percent, abs=0.6)


def test_drift_is_not_what_a_few_frames_show():
    followed = TRACKS[0]
    area = followed.area.clone()
    area[[4, 15, 30]] *= 3
    assert consistency.size_drift(replace(followed, area=area)) < 0.5


def test_jitter_is_in_proportion_and_true_paths_have_none():
    noise = torch.randn(2, 33, generator=torch.Generator().manual_seed(0))
    for followed in TRACKS:

        def shaken(amount: float, followed=followed) -> float:
            x, y = followed.x + amount * noise[0], followed.y + amount * noise[1]
            return consistency.track_jitter(replace(followed, x=x, y=y))

        assert shaken(0.0) < 0.1  # walls and gravity included
        assert shaken(0.5) == pytest.approx(2 * shaken(0.25), rel=0.3)
        assert shaken(1.0) == pytest.approx(2 * shaken(0.5), rel=0.3)


def test_the_range_of_motion_is_in_proportion_and_that_of_a_frozen_clip_is_nothing():
    followed = TRACKS[1]
    whole = consistency.motion_range(followed)
    half = replace(followed, x=followed.x / 2, y=followed.y / 2)
    assert consistency.motion_range(half) == pytest.approx(whole / 2)
    frozen = track(CLIPS[1][:1].expand_as(CLIPS[1]))
    assert consistency.motion_range(frozen) == 0


def test_an_object_that_is_hardly_seen_has_no_drift():
    unseen = replace(TRACKS[0], is_seen=torch.zeros(33, dtype=torch.bool))
    assert consistency.motion_range(unseen) == 0
    for measure in (consistency.color_drift, consistency.size_drift, consistency.track_jitter):
        assert torch.isnan(torch.tensor(measure(unseen)))


def test_the_table_holds_the_means():
    clips = [frames[:5] for frames in CLIPS[:2]]
    result = consistency.consistency(clips, TRACKS[:2])
    mean = (consistency.flicker(clips[0]) + consistency.flicker(clips[1])) / 2
    assert result.value("flicker") == pytest.approx(mean)
    assert {figure.count for figure in result.figures} == {2}
    with pytest.raises(ValueError, match="one each"):
        consistency.consistency(CLIPS, TRACKS[:1])


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="3 or more"):
        consistency.flicker(CLIPS[0][:2])
    with pytest.raises(ValueError, match="2 or more"):
        consistency.warp_error(CLIPS[0][:1])
