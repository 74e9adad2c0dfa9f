"""How much of one media file is read, and what that may cost."""

from dataclasses import dataclass, fields
from fractions import Fraction
from math import floor

GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """What a file may cost at most; checked from its header, and again while it is decoded.

    max_seconds           of the clock on the wall, for one file
    max_file_bytes        the size of the file
    max_decoded_bytes     frames (3 bytes a pixel) and sound (4 bytes a sample) of what is read
    max_duration_seconds  of what is read: the whole file, or the span that is asked for
    max_side              pixels of the longer side
    max_frames            of what is read

    Raises ValueError where one is not positive.
    """

    max_seconds: float = 60.0
    max_file_bytes: int = 32 * GIB
    max_decoded_bytes: int = 4 * GIB
    max_duration_seconds: float = 3600.0
    max_side: int = 8192
    max_frames: int = 100_000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"{field.name} is {value}; a limit is a positive number")


@dataclass(frozen=True)
class Span:
    """From `start_seconds` to `end_seconds` (None: the end of the file), counted from the start of
    the file: its first frame, or its first sample where there are no frames.

    is_limit: the file may end before `end_seconds`, which only says that no more is needed.
    """

    start_seconds: Fraction = Fraction(0)
    end_seconds: Fraction | None = None
    is_limit: bool = False

    @classmethod
    def between(
        cls, start_seconds: Fraction | float | None, end_seconds: Fraction | float | None
    ) -> "Span":
        """With exact numbers. Raises ValueError for a start below 0, an end that is not behind it,
        and what is no finite number."""
        try:
            start = Fraction(start_seconds or 0)
            end = None if end_seconds is None else Fraction(end_seconds)
        except (OverflowError, TypeError, ValueError):
            start, end = Fraction(-1), None
        if start < 0 or (end is not None and end <= start):
            raise ValueError(
                f"it is {start_seconds} to {end_seconds}; give seconds from 0 on, the end behind "
                "the start"
            )
        return cls(start, end)

    def at_most(self, seconds: Fraction | float | None) -> "Span":
        """No more than the first `seconds` of it, where there is so much; None: all of it."""
        if seconds is None:
            return self
        end = self.start_seconds + Fraction(seconds)
        if self.end_seconds is not None and self.end_seconds <= end:
            return self
        return Span(self.start_seconds, end, is_limit=True)

    def __str__(self) -> str:
        end = "" if self.end_seconds is None else f" to {float(self.end_seconds):g}"
        return f"{float(self.start_seconds):g}{end}"

    @property
    def is_whole(self) -> bool:
        return self.start_seconds == 0 and self.end_seconds is None

    @property
    def length_seconds(self) -> Fraction | None:
        return None if self.end_seconds is None else self.end_seconds - self.start_seconds

    def on_grid(self, rate: Fraction) -> "Span":
        """Moved to the nearest ticks of `rate`, at least one apart: neighbours share a tick, so
        spans that meet neither overlap nor leave a gap."""
        first = floor(self.start_seconds * rate + Fraction(1, 2))
        if self.end_seconds is None:
            return Span(first / rate)
        last = max(floor(self.end_seconds * rate + Fraction(1, 2)), first + 1)
        return Span(first / rate, last / rate, self.is_limit)

    def seconds_of(self, length: Fraction) -> Fraction:
        """How much of a file of `length` seconds it takes."""
        end = length if self.end_seconds is None else min(self.end_seconds, length)
        return max(end - self.start_seconds, Fraction(0))
