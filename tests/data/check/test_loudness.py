"""Loudness by ITU-R BS.1770."""

import math

import pytest
import torch

from mmdiff.data.check.loudness import loudness_of


def test_loudness_of_a_sine_is_the_closed_form():
    # ITU-R BS.1770: a sine of 997 Hz at full scale in one channel is -3.01 LUFS.
    time_seconds = torch.arange(3 * 48000) / 48000
    sine = torch.sin(2 * math.pi * 997 * time_seconds)[None]
    assert loudness_of(sine, 48000).value == pytest.approx(-3.01, abs=0.05)
    assert loudness_of(0.1 * sine, 48000).value == pytest.approx(-23.01, abs=0.05)
    short = loudness_of(sine[:, :4800], 48000)
    assert (short.unit, round(short.value, 1)) == ("dBFS", -3.0)
    assert loudness_of(0 * sine, 48000).is_silence
    assert loudness_of(0 * sine[:, :100], 48000).is_silence
    assert loudness_of(sine.repeat(6, 1), 48000).unit == "dBFS"
