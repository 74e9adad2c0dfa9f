"""The part of a file that is asked for, on the grid of its frames or samples."""

from dataclasses import dataclass
from fractions import Fraction
from math import floor

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Span:
    """From `start_seconds` to `end_seconds` (None: the end of the file), counted from the start of
    the file: its first picture, or its first sample where there is no picture.

    is_limit: the file may end before `end_seconds`, which only says that no more is needed.

    Raises ValueError for a start below 0, an end that is not behind it, NaN and infinity.
    """

    start_seconds: Fraction = Fraction(0)
    end_seconds: Fraction | None = None
    is_limit: bool = False

    def __post_init__(self) -> None:
        if self.start_seconds < 0:
            raise ValueError(f"start_seconds is {float(self.start_seconds):g}; it is 0 or more")
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise ValueError(
                f"end_seconds is {float(self.end_seconds):g}; "
                f"it is behind start_seconds, {float(self.start_seconds):g}"
            )

    @classmethod
    def between(
        cls, start_seconds: Fraction | float | None, end_seconds: Fraction | float | None
    ) -> "Span":
        """With exact numbers. Raises ValueError as above."""
        try:
            end = None if end_seconds is None else Fraction(end_seconds)
            return cls(Fraction(start_seconds or 0), end)
        except (OverflowError, TypeError) as error:
            raise ValueError(
                f"the span is {start_seconds!r} to {end_seconds!r}; give seconds as numbers"
            ) from error

    def at_most(self, seconds: Fraction | float | None) -> "Span":
        """No more than the first `seconds` of it, where there is so much; None: all of it."""
        if seconds is None:
            return self
        end = self.start_seconds + Fraction(seconds)
        if self.end_seconds is not None and self.end_seconds <= end:
            return self
        return Span(self.start_seconds, end, is_limit=True)

    @property
    def is_whole(self) -> bool:
        return self.start_seconds == 0 and self.end_seconds is None

    def on_grid(self, rate: Fraction) -> "Span":
        """Moved to the nearest ticks of `rate`, at least one apart: neighbours share a tick, so
        spans that meet neither overlap nor leave a gap."""
        first = _nearest(self.start_seconds * rate)
        if self.end_seconds is None:
            return Span(first / rate)
        last = max(_nearest(self.end_seconds * rate), first + 1)
        return Span(first / rate, last / rate, self.is_limit)

    def seconds_of(self, length: Fraction) -> Fraction:
        """How much of a file of `length` seconds it takes."""
        end = length if self.end_seconds is None else min(self.end_seconds, length)
        return max(end - self.start_seconds, Fraction(0))


def _nearest(number: Fraction) -> int:
    return floor(number + HALF)
