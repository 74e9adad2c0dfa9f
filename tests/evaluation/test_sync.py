import math

import pytest

from mmdiff.evaluation.result import percent_figure
from mmdiff.evaluation.sync import clip_precision, distances, recall, sync


def test_a_shift_of_the_sound_is_the_median() -> None:
    impacts = (0.3, 0.9, 1.6)
    result = sync([impacts], [tuple(seconds + 0.02 for seconds in impacts)], has_sound=[True])
    assert result.value("median") == pytest.approx(20)
    assert result.value("90th percentile") == pytest.approx(20)
    assert result.is_met


def test_an_impact_without_sound_is_infinitely_far() -> None:
    result = sync([(0.5,), (0.4, 0.8)], [(0.5,), ()], has_sound=[True, True])
    assert result.value("90th percentile") == math.inf
    assert not result.is_met


def test_clips_that_were_asked_to_be_silent_do_not_count() -> None:
    result = sync([(0.5,), (0.4,)], [(0.5,), (1.4,)], has_sound=[True, False])
    assert result.value("clips") == 1
    assert result.value("90th percentile") == 0


def test_nothing_measured_is_not_met() -> None:
    result = sync([], [], has_sound=[])
    assert math.isnan(result.value("median"))
    assert not result.is_met


def test_distances_are_to_the_nearest() -> None:
    assert distances([1.0, 2.0], [0.75, 2.5]) == [0.25, 0.5]
    assert distances([1.0], []) == [math.inf]


def test_equal_events_are_all_found_and_all_right() -> None:
    events = [(0.3, 0.9), (), (1.2,)]
    assert recall("a", events, events).value == 100
    assert clip_precision("a", events, events).value == 100


def test_recall_counts_events_and_precision_clips() -> None:
    true, found = [(0.3, 0.9), (0.5,)], [(0.36, 1.5), (0.5,)]
    recalled = recall("a", true, found, wanted=60.0)
    assert recalled.value == pytest.approx(200 / 3)
    assert recalled.count == 3
    assert recalled.is_met
    assert clip_precision("a", found, true).value == 50


def test_the_bound_is_a_bound() -> None:
    assert recall("a", [(0.5,)], [(0.5615,)]).value == 100
    assert recall("a", [(0.5,)], [(0.563,)]).value == 0
    assert recall("a", [(0.5,)], [(0.563,)], within_seconds=0.1).value == 100


def test_silence_finds_nothing_and_is_precise() -> None:
    assert recall("a", [(0.5,)], [()]).value == 0
    assert clip_precision("a", [()], [(0.5,)]).value == 100
    assert clip_precision("a", [(0.5,)], [()]).value == 0


def test_nothing_asked_is_not_measured() -> None:
    assert math.isnan(recall("a", [()], [(0.5,)]).value)
    assert math.isnan(percent_figure("a", []).value)
