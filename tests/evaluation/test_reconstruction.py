import math

import pytest
import torch

from mmdiff.evaluation.reconstruction import (
    flicker,
    flicker_ratio,
    psnr,
    still_flicker,
    video_reconstruction,
)


def gray(value: int, num_frames: int = 6) -> torch.Tensor:
    return torch.full((num_frames, 8, 8, 3), value, dtype=torch.uint8)


def test_psnr_is_that_of_a_known_error() -> None:
    assert psnr(gray(100), gray(100)) == math.inf
    assert psnr(gray(100), gray(101)) == pytest.approx(20 * math.log10(255))
    assert psnr(gray(100), gray(110)) == psnr(gray(110), gray(100))


def test_steady_change_does_not_flicker_but_alternation_does() -> None:
    ramp = torch.cat([gray(10 * i, 1) for i in range(6)])
    alternating = torch.cat([gray(100 + 2 * (i % 2), 1) for i in range(6)])
    assert flicker(ramp) == 0
    assert flicker(alternating) == 4
    assert flicker_ratio([alternating], [alternating]) == 1
    assert flicker_ratio([gray(5)], [gray(9)]) == 1
    assert flicker_ratio([gray(5)], [alternating]) == math.inf
    assert still_flicker(gray(5), alternating) == 4
    assert still_flicker(alternating, gray(5)) == 0


def test_video_reconstruction_reports_the_worst_clip_and_the_mean_error() -> None:
    moving = torch.cat([gray(100 + 50 * (i % 2), 1) for i in range(6)])
    result = video_reconstruction([moving, moving], [moving + 1, moving + 2])
    assert result.value("PSNR, worst clip") == pytest.approx(psnr(gray(0), gray(2)))
    assert result.value("PSNR") == pytest.approx(10 * math.log10(255**2 / 2.5), abs=1e-4)
    assert result.value("flicker over original's") == 1
    assert result.is_met
