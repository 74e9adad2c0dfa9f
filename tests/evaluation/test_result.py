import math

import pytest

from mmdiff.evaluation.result import Figure, Result, quantile


def test_bounds_hold_in_their_direction() -> None:
    figures = (
        Figure("median", 12.345, "ms", 40.0, "lower"),
        Figure("worst", math.inf, "ms"),
        Figure("unknown", math.nan, "%", 90.0),
    )
    assert [figure.is_met for figure in figures] == [True, None, False]
    assert Figure("share", 95.0, "%", 95.0).is_met
    assert not Figure("share", 94.9, "%", 95.0).is_met
    assert Result("a", "A", figures[:2]).is_met
    assert not Result("a", "A", figures).is_met


def test_quantiles_interpolate_and_keep_infinity() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2
    assert quantile([0.0, 1.0], 0.9) == pytest.approx(0.9)
    assert quantile([0.0, 1.0, math.inf], 0.5) == 1
    assert quantile([0.0, math.inf], 0.9) == math.inf
