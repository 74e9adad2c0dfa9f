import math
from dataclasses import dataclass

import pytest

from mmdiff.evaluation.sync import distances, quantile, sync


@dataclass(frozen=True)
class Heard:
    impacts: tuple[float, ...] = ()
    onsets: tuple[float, ...] = ()


def test_a_shift_of_the_sound_is_the_median() -> None:
    impacts = (0.3, 0.9, 1.6)
    result = sync([Heard(impacts, tuple(moment + 0.02 for moment in impacts))])
    assert result.value("median") == pytest.approx(20)
    assert result.value("90th percentile") == pytest.approx(20)
    assert result.is_met


def test_an_impact_without_sound_is_infinitely_far() -> None:
    readings = [Heard((0.5,), (0.5,)), Heard((0.4, 0.8), ())]
    assert sync(readings).value("median") == 0
    asked = sync(readings, has_sound=[True, True])
    assert asked.value("90th percentile") == math.inf
    assert not asked.is_met


def test_clips_that_were_asked_to_be_silent_do_not_count() -> None:
    result = sync([Heard((0.5,), (0.5,)), Heard((0.4,), (1.4,))], has_sound=[True, False])
    assert result.value("clips") == 1
    assert result.value("90th percentile") == 0


def test_nothing_measured_is_not_met() -> None:
    result = sync([])
    assert math.isnan(result.value("median"))
    assert not result.is_met


def test_distances_are_to_the_nearest() -> None:
    assert distances([1.0, 2.0], [0.75, 2.5]) == [0.25, 0.5]
    assert distances([1.0], []) == [math.inf]


def test_quantiles_interpolate_and_keep_infinity() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2
    assert quantile([0.0, 1.0], 0.9) == pytest.approx(0.9)
    assert quantile([0.0, 1.0, math.inf], 0.5) == 1
    assert quantile([0.0, math.inf], 0.9) == math.inf


def test_one_answer_each() -> None:
    with pytest.raises(ValueError, match="one each"):
        sync([Heard()], has_sound=[True, False])
