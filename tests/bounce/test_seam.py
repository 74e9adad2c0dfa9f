import math

import pytest
import torch

from mmdiff.bounce.seam import click_ratio, jump_ratio, ratio_figures
from mmdiff.evaluation.consistency import centroid_range

RATE = 16_000


def tone(seconds: float = 1.0, phase: float = 0.0) -> torch.Tensor:
    times = torch.arange(round(seconds * RATE)) / RATE
    return torch.sin(2 * math.pi * 440 * times + phase)[None]


def test_steady_motion_has_no_jump_at_any_seam() -> None:
    x = torch.arange(10.0) * 2
    assert all(jump_ratio(x, 0 * x, seam=seam) == pytest.approx(1) for seam in range(1, 10))


def test_a_jump_shows_at_its_seam_and_only_there() -> None:
    x = torch.arange(10.0)
    x[6:] += 4
    assert jump_ratio(x, 0 * x, seam=6) == pytest.approx(5)
    assert jump_ratio(x, 0 * x, seam=5) == pytest.approx(1)
    assert jump_ratio(0 * x, x, seam=6) == pytest.approx(5)


def test_what_stands_still_is_measured_in_half_pixels() -> None:
    x = torch.zeros(10)
    x[5:] = 2.0
    assert jump_ratio(x, x * 0, seam=5) == pytest.approx(4)
    assert jump_ratio(x * 0, x * 0, seam=5) == 0


@pytest.mark.parametrize("phase", [0.0, 0.7, 1.9, 3.0])
def test_a_tone_does_not_click_and_a_broken_one_does(phase: float) -> None:
    whole = tone(phase=phase)
    assert click_ratio(whole, seam=8000, sample_rate=RATE) < 1.6
    broken = whole.clone()
    broken[:, 8000:] += 1.0
    assert click_ratio(broken, seam=8000, sample_rate=RATE) > 3
    assert click_ratio(broken, seam=7999, sample_rate=RATE) < 1.6


def test_silence_and_a_faint_hiss_do_not_click() -> None:
    silence = torch.zeros(1, RATE)
    assert click_ratio(silence, seam=100, sample_rate=RATE) == 0
    silence[:, 100:] = 5e-4
    assert click_ratio(silence, seam=100, sample_rate=RATE) < 1


@pytest.mark.parametrize("seam", [1, RATE - 1])
def test_seams_at_the_ends(seam: int) -> None:
    assert click_ratio(tone(), seam=seam, sample_rate=RATE) < 1.6
    for wrong in (0, RATE):
        with pytest.raises(ValueError, match=f"seam is {wrong}; in 16000 samples"):
            click_ratio(tone(), seam=wrong, sample_rate=RATE)


def test_figures_of_ratios_and_of_the_true_ones() -> None:
    rows = ratio_figures("jump", [1.0, 1.0, 4.0], wanted=1.5, others=[1.0, 2.0])
    assert [row.value for row in rows] == pytest.approx([1.0, 3.4, 200 / 3, 50])
    assert rows[0].is_met
    assert not ratio_figures("jump", [2.0], wanted=1.5)[0].is_met


def test_the_range_of_a_path_is_its_diagonal() -> None:
    x, y = torch.tensor([0.0, 3.0, 1.0]), torch.tensor([2.0, 2.0, 6.0])
    assert centroid_range(x, y) == pytest.approx(5)
    assert centroid_range(x * 0, y * 0) == 0
