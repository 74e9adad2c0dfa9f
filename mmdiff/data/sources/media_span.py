"""A stretch of a media file, as a list names it: from and to, in seconds."""

import math
from dataclasses import dataclass

from mmdiff.data.sources.list_fault import list_fault, shown
from mmdiff.media.rejection import Reason, Rejection


@dataclass(frozen=True)
class MediaSpan:
    """From `start_seconds` to `end_seconds`; None is the beginning or the end of the file."""

    start_seconds: float | None = None
    end_seconds: float | None = None

    @property
    def mark(self) -> str:
        """What tells the spans of one file apart, behind its path: "#1.5-3", or nothing."""
        if self.start_seconds is None and self.end_seconds is None:
            return ""
        return f"#{_plain(self.start_seconds or 0.0)}-{_plain(self.end_seconds)}"


def read_span(start: object, end: object, *, file: str) -> MediaSpan | Rejection:
    """A span from what a list holds: numbers, text with a number, nothing, NaN or empty text.

    Left out is what is no finite number of seconds, negative, or ends before it begins.
    """
    seconds: list[float | None] = []
    for name, value in (("start", start), ("end", end)):
        number = _number(value)
        if number is not None and not (math.isfinite(number) and number >= 0):
            fault = f"has the {name} {shown(str(value))}, which is no number of seconds from 0 on"
            return list_fault(file, Reason.BAD_SPAN, fault)
        seconds.append(number)
    first, last = seconds
    if last is not None and last <= (first or 0.0):
        fault = f"ends at {last:g} s, not after its start at {first or 0.0:g} s"
        return list_fault(file, Reason.BAD_SPAN, fault)
    return MediaSpan(first, last)


def _number(value: object) -> float | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and math.isnan(value):  # an empty cell, as pandas writes it
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _plain(seconds: float | None) -> str:
    return "" if seconds is None else repr(seconds).removesuffix(".0")
