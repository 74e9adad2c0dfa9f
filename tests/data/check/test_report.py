"""What became of the clips is counted, and said in few words."""

import pytest

from mmdiff.data.check.report import ClipReport, DataReport, type_of
from mmdiff.media.rejection import Reason, Rejection


@pytest.mark.parametrize(
    "num_good, num_bad, fraction, is_good",
    [
        (99, 1, 0.01, True),
        (98, 2, 0.01, False),
        (0, 3, 1.0, False),
        (1, 3, 1.0, True),
        (0, 0, 1, 0),
    ],
)
def test_when_too_much_is_dropped(num_good, num_bad, fraction, is_good):
    bad = Rejection("a", Reason.EMPTY, "open", "a is empty; leave it out")
    rows = [ClipReport("b", "kept")] * num_good + [ClipReport.dropped(bad)] * num_bad
    assert DataReport(tuple(rows), fraction).is_good == is_good


def test_reasons_come_with_an_example():
    rows = [
        ClipReport.dropped(Rejection(f"{i}", Reason.EMPTY, "open", f"{i} is empty"))
        for i in range(3)
    ]
    rows.append(ClipReport.dropped(Rejection("x", Reason.MISSING, "open", "x is not there")))
    first, second = DataReport(tuple(rows)).reasons()
    assert (first.reason, first.count, first.example) == (Reason.EMPTY, 3, "0 is empty")
    assert (second.reason, second.count) == (Reason.MISSING, 1)


def test_adaptations_of_one_kind_are_counted_together():
    phrases = [("30 -> 16 fps", "cut by 2 s"), ("30 -> 16 fps", "cut by 3.1 s"), ("cut by 4 s",)]
    rows = tuple(ClipReport("a", "adapted", adaptations=told) for told in phrases)
    assert DataReport(rows).adaptations() == [
        ("cut by 2 s, and 2 like it with other numbers", 3),
        ("30 -> 16 fps", 2),
    ]


@pytest.mark.parametrize(
    "phrase, kind",
    [
        ("cut by 12.9 s, begins at 3 s", "cut"),
        ("cropped 720 x 1280 -> 720 x 720", "cropped"),
        ("29.97 -> 16 fps", "fps"),
        ("44100 -> 16000 Hz", "Hz"),
        ("mono from 2 channels", "mono"),
        ("silence behind 1.2 s of sound", "silence"),
    ],
)
def test_the_kind_of_an_adaptation(phrase, kind):
    assert type_of(phrase) == kind
