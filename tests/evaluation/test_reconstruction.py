import math
from dataclasses import dataclass

import pytest
import torch

from mmdiff.evaluation.reconstruction import (
    audio_reconstruction,
    flicker,
    flicker_ratio,
    level_dbfs,
    psnr,
    still_flicker,
    video_reconstruction,
)


@dataclass(frozen=True)
class Heard:
    onsets: tuple[float, ...]
    pitch: float | None


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


def test_audio_reconstruction_is_exact_for_equal_sounds() -> None:
    sounds = [Heard((0.3, 0.9), 660.0), Heard((0.5,), 330.0)]
    result = audio_reconstruction(sounds, sounds, silences=[torch.zeros(1, 100)])
    assert result.value("onset error, median") == 0
    assert result.value("pitch within 1 %") == 100
    assert result.value("loudest silence") == -math.inf
    assert result.is_met


def test_audio_reconstruction_finds_late_onsets_bent_pitch_and_hiss() -> None:
    before, after = [Heard((0.3,), 660.0)], [Heard((0.32,), 680.0)]
    result = audio_reconstruction(before, after, silences=[torch.full((1, 50), 0.01)])
    assert result.value("onset error, median") == pytest.approx(20)
    assert result.value("pitch error, median") == pytest.approx(100 * 20 / 660)
    assert result.value("loudest silence") == pytest.approx(-40)
    assert [figure.is_met for figure in result.figures if figure.wanted] == [False, False, False]


def test_lost_sounds_are_infinitely_wrong() -> None:
    result = audio_reconstruction([Heard((0.3,), 660.0)], [Heard((), None)])
    assert result.value("onset error, median") == math.inf
    assert not result.is_met


def test_levels_and_bad_pairs() -> None:
    assert level_dbfs(torch.ones(1, 10)) == 0
    with pytest.raises(ValueError, match="equal size"):
        psnr(gray(1), gray(1, num_frames=5))
    with pytest.raises(ValueError, match="each original needs one"):
        video_reconstruction([], [])
    with pytest.raises(ValueError, match="3 or more"):
        flicker(gray(1, num_frames=2))
