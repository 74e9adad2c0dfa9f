"""Frames of uneven length on an even grid, against what each is shown at."""

from fractions import Fraction

import numpy as np
import pytest

from mmdiff.media.frame_grid import rate_of_grid, shown_at_ticks


@pytest.mark.parametrize("rate", [Fraction(30_000, 1001), Fraction(16), Fraction(240)])
def test_an_even_grid_is_the_identity_on_even_times(rate):
    """And on those that a matroska rounds to milliseconds."""
    seconds = np.arange(2000) / float(rate)
    for times in (seconds, seconds.round(3)):
        assert rate_of_grid(times, (rate,)) == rate
        assert shown_at_ticks(times, rate, num_ticks=2000) == list(range(2000))


def test_a_grid_shows_each_frame_within_5_ms_of_its_own_time():
    """Whatever the lengths of the frames; the average rate is of no use there."""
    chance = np.random.default_rng(0)
    for _ in range(50):
        seconds = np.cumsum(chance.uniform(0.011, 0.2, 40))
        seconds -= seconds[0]
        rate = rate_of_grid(seconds, (Fraction(39) / Fraction(float(seconds[-1])),))
        shown = shown_at_ticks(seconds, rate, num_ticks=round(seconds[-1] * rate) + 1)
        begins = np.array([shown.index(frame) for frame in range(40)]) / float(rate)
        assert np.abs(begins - seconds).max() <= 0.005 + 1e-9
