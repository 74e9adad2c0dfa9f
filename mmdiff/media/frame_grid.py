"""Frames of uneven length on an even grid, each by its own timestamp."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

WITHIN_SECONDS = 0.005  # of its own time each frame is shown
GRIDS = tuple(Fraction(rate) for rate in (24, 25, 30, 50, 60, 100))


def rate_of_grid(seconds: np.ndarray, stated: Sequence[Fraction]) -> Fraction:
    """The average rate where frames are even at it; otherwise the slowest that has a tick within
    5 ms of each of them, of those that the file states and the usual ones: 100 a second always has.

    seconds  when each frame is shown, from the first tick on
    stated   the average rate first, then others
    """
    if _is_near(seconds * float(stated[0]), np.arange(len(seconds)), stated[0]):
        return stated[0]
    for rate in sorted({*stated, *GRIDS}):
        ticks = seconds * float(rate)
        if rate == GRIDS[-1] or _is_near(ticks, np.round(ticks), rate):
            return rate
    raise AssertionError("the fastest grid takes all times")


def _is_near(ticks: np.ndarray, whole: np.ndarray, rate: Fraction) -> bool:
    return bool(np.abs(ticks - whole).max() <= WITHIN_SECONDS * float(rate))


def shown_at_ticks(seconds: np.ndarray, rate: Fraction, *, num_ticks: int) -> list[int]:
    """Index of the frame on the screen at each tick of `rate`, the first tick being at 0: the last
    one whose own nearest tick has come."""
    own = np.floor(seconds * float(rate) + 0.5).astype(np.int64)
    shown = np.searchsorted(own, np.arange(num_ticks), side="right") - 1
    return np.maximum(shown, 0).tolist()
