import math

import pytest

from mmdiff.bounce.meeting import met, percent, unstrayed


def test_equal_moments_meet_and_none_strays() -> None:
    moments = [(0.3, 0.9), (), (1.2,)]
    assert met("a", moments, moments).value == 100
    assert unstrayed("a", moments, moments).value == 100


def test_moments_count_one_by_one_and_strays_clip_by_clip() -> None:
    asked, made = [(0.3, 0.9), (0.5,)], [(0.36, 1.5), (0.5,)]
    found = met("a", asked, made, wanted=60.0)
    assert found.value == pytest.approx(200 / 3)
    assert found.count == 3
    assert found.is_met
    assert unstrayed("a", made, asked).value == 50


def test_the_bound_is_a_bound() -> None:
    assert met("a", [(0.5,)], [(0.5615,)]).value == 100
    assert met("a", [(0.5,)], [(0.563,)]).value == 0
    assert met("a", [(0.5,)], [(0.563,)], within_seconds=0.1).value == 100


def test_silence_meets_nothing_and_does_not_stray() -> None:
    assert met("a", [(0.5,)], [()]).value == 0
    assert unstrayed("a", [()], [(0.5,)]).value == 100
    assert unstrayed("a", [(0.5,)], [()]).value == 0


def test_nothing_asked_is_not_measured() -> None:
    assert math.isnan(met("a", [()], [(0.5,)]).value)
    assert math.isnan(percent([]))
    with pytest.raises(ValueError, match="2 clips and the others of 1"):
        met("a", [(), ()], [()])
