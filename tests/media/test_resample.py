import math
from fractions import Fraction

import pytest
import torch

from mmdiff.media.resample import (
    change_fps,
    crop,
    pad,
    resample_waveform,
    resize,
)


def test_resizing_to_the_same_size_is_the_identity(small_clip):
    clip = small_clip(2)
    assert torch.equal(resize(clip.frames, 64, 64), clip.frames)


def test_resizing_keeps_a_flat_color_and_the_place_of_things(small_clip, psnr):
    flat = torch.full((1, 10, 14, 3), 77, dtype=torch.uint8)
    assert (resize(flat, 23, 9) == 77).all()
    clip = small_clip(2)
    assert psnr(resize(resize(clip.frames, 128, 128), 64, 64), clip.frames) > 30


def test_cropping_undoes_padding(small_clip):
    frames = small_clip(2, height=31, width=45).frames
    padded = pad(frames, 64, 48)
    assert padded.shape == (2, 64, 48, 3)
    assert torch.equal(crop(padded, 31, 45), frames)
    assert int(padded.sum()) == int(frames.sum())


def test_a_crop_outside_is_refused(small_clip):
    with pytest.raises(ValueError, match=r"at most 64 x 32"):
        crop(small_clip(1).frames, 65, 32)
    with pytest.raises(ValueError, match=r"cannot be padded"):
        pad(small_clip(1).frames, 32, 80)


def test_a_whole_multiple_of_the_rate_repeats_frames_and_back(small_clip):
    clip = small_clip(9)
    double = change_fps(clip, 32)
    assert torch.equal(double.frames[::2], clip.frames)
    assert torch.equal(double.frames[1::2], clip.frames)
    assert double.waveform is clip.waveform
    assert torch.equal(change_fps(double, 16).frames, clip.frames)


@pytest.mark.parametrize("fps", [12.5, Fraction(30000, 1001), 5, 60])
def test_another_rate_keeps_the_length_to_half_a_frame(small_clip, fps):
    clip = small_clip(33)
    changed = change_fps(clip, fps)
    assert abs(changed.video_seconds - clip.video_seconds) <= Fraction(1, 2) / changed.fps
    for index in range(changed.num_frames):
        shown = min(int(index / changed.fps * clip.fps), 32)
        assert torch.equal(changed.frames[index], clip.frames[shown])


def test_resampling_keeps_a_tone_and_the_length():
    seconds = torch.arange(16_000) / 16_000
    tone = 0.5 * torch.sin(2 * math.pi * 440 * seconds)[None]
    for rate in (8000, 24_000, 44_100):
        resampled = resample_waveform(tone, 16_000, rate)
        assert resampled.shape[1] == rate
        expected = 0.5 * torch.sin(2 * math.pi * 440 * torch.arange(rate) / rate)
        middle = slice(rate // 10, -rate // 10)
        torch.testing.assert_close(resampled[0, middle], expected[middle], atol=5e-3, rtol=0)


def test_peaks_that_the_filter_pushes_over_full_scale_are_clamped():
    assert resample_waveform(torch.ones(1, 160), 16_000, 24_000).abs().max() <= 1
