"""Frames of uneven length on an even grid, each by its own timestamp."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

WITHIN_SECONDS = 0.005  # of its own time each frame is shown
GRIDS = tuple(Fraction(rate) for rate in (24, 25, 30, 50, 60, 100))
FASTEST_STATED = 120  # frames per second of a grid that a file states itself


def rate_of_grid(seconds: np.ndarray, stated: Sequence[Fraction]) -> Fraction:
    """The first rate that has a tick within 5 ms of each frame: of those that the file states, then
    of the usual ones; 100 a second always has.

    seconds  when each frame is shown, from the first tick on
    stated   the average rate first, then others
    """
    others = [rate for rate in stated[1:] if rate <= FASTEST_STATED]
    for rate in (stated[0], *others, *GRIDS[:-1]):
        ticks = seconds * float(rate)
        if np.abs(ticks - np.round(ticks)).max() <= WITHIN_SECONDS * float(rate):
            return rate
    return GRIDS[-1]


def shown_at_ticks(seconds: np.ndarray, rate: Fraction, *, num_ticks: int) -> list[int]:
    """Index of the frame on the screen at each tick of `rate`, the first tick being at 0: the last
    one whose own nearest tick has come."""
    own = np.floor(seconds * float(rate) + 0.5).astype(np.int64)
    shown = np.searchsorted(own, np.arange(num_ticks), side="right") - 1
    return np.maximum(shown, 0).tolist()
