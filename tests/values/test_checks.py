"""I3: numbers that constructors take; what is none is refused by name, value and range."""

import math

import pytest

from mmdiff.values.checks import (
    LARGEST_SIZE,
    check_fractions,
    check_sizes,
    check_weights,
)


@pytest.mark.parametrize("good", [1, 7, LARGEST_SIZE, [1, 2, 3], (1,)])
def test_i3_sizes(good):
    check_sizes(width=good)


@pytest.mark.parametrize("bad", [0, -1, LARGEST_SIZE + 1, 1.0, math.nan, True, [1, 0], (2.5,)])
def test_i3_sizes_that_are_none(bad):
    with pytest.raises(ValueError, match=r"width is .*; it must be .* from 1 to 1048576"):
        check_sizes(height=3, width=bad)


def test_i3_a_count_may_be_nothing():
    check_sizes(least=0, num_blocks=0)
    with pytest.raises(ValueError, match=r"num_blocks is -1"):
        check_sizes(least=0, num_blocks=-1)


@pytest.mark.parametrize("bad", [-1, -1e-30, math.nan, math.inf, -math.inf])
def test_i3_weights_that_are_none(bad):
    check_weights(kl_weight=0, gradient_weight=1e9)
    with pytest.raises(ValueError, match=r"kl_weight is .*; it must be a finite number from 0 on"):
        check_weights(kl_weight=bad)
    with pytest.raises(ValueError, match=r"lr is .*; it must be a finite number above 0"):
        check_weights(above=True, lr=0)


@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan, math.inf, [0.9, 2]])
def test_i3_fractions_that_are_none(bad):
    check_fractions(betas=[0, 1], momentum=1)
    with pytest.raises(ValueError, match=r"betas is .*; it must be from 0 to 1"):
        check_fractions(betas=bad)
    with pytest.raises(ValueError, match=r"betas is .*; it must be from 0 and below 1"):
        check_fractions(with_one=False, betas=1)
