import math

import pytest
import torch

from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.draw import draw
from mmdiff.bounce.seam import click_ratio, jump_figures, jump_ratio
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape

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


def test_clips_that_jump_are_counted_beside_true_ones() -> None:
    event = Bounce("small", "red", "circle", "black", "bouncing up and down", "slowly", "no sound")
    true = draw(event, ClipShape())
    torn = Clip(frames=torch.cat([true.frames[:8], true.frames[14:]]), fps=16)
    rows = jump_figures("jump", [true, true, torn], [true], seams=[8])
    assert [row.name for row in rows] == [
        "jump, median",
        "jump, 90th percentile",
        "jump <= 1.5",
        "jump <= 1.5, true clips",
    ]
    assert [row.value for row in rows[2:]] == pytest.approx([200 / 3, 100])
    assert rows[1].value > 1.5
    assert rows[0].is_met
    assert not jump_figures("jump", [torn], seams=[8])[0].is_met
