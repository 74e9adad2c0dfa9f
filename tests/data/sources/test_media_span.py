"""Spans of a file as lists write them."""

import pytest

from mmdiff.data.sources.media_span import MediaSpan, read_span
from mmdiff.media.rejection import Reason, Rejection


@pytest.mark.parametrize(
    "start, end, span, mark",
    [
        (None, None, MediaSpan(), ""),
        ("", " ", MediaSpan(), ""),
        ("1.5", "3", MediaSpan(1.5, 3.0), "#1.5-3"),
        (0, 2, MediaSpan(0.0, 2.0), "#0-2"),
        (None, 2.25, MediaSpan(None, 2.25), "#0-2.25"),
        (4, None, MediaSpan(4.0, None), "#4-"),
    ],
)
def test_spans_and_their_marks(start: object, end: object, span: MediaSpan, mark: str) -> None:
    found = read_span(start, end, file="a.mp4")
    assert found == span
    assert isinstance(found, MediaSpan) and found.mark == mark


@pytest.mark.parametrize(
    "start, end",
    [
        ("a", None),
        ("00:01:00", None),
        (-1, None),
        ("nan", 2),
        (0, "inf"),
        (3, 2),
        (2, 2),
        (None, 0),
        (True, None),
        ([1], None),
        (10**400, None),
        ("9" * 10_000, None),
    ],
)
def test_what_is_no_span_is_told(start: object, end: object) -> None:
    found = read_span(start, end, file="a.mp4")
    assert isinstance(found, Rejection) and found.reason is Reason.BAD_SPAN
    assert "'a.mp4'" in found.message and len(found.message) < 600


def test_marks_tell_close_spans_apart() -> None:
    marks = {MediaSpan(1.0, 2.0 + k * 1e-9).mark for k in range(100)}
    assert len(marks) == 100
