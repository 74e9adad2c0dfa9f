"""The spectrogram against tones of known frequency and time."""

import numpy as np
import pytest
import torch

from mmdiff.media.spectrum import hertz_of_row, row_of_hertz, spectrum_picture


def test_a_tone_is_brightest_at_its_frequency_and_time():
    seconds = torch.arange(16_000) / 16_000
    tone = torch.sin(2 * torch.pi * 1000 * seconds) * (seconds > 0.5)
    picture = spectrum_picture(tone[None], 16_000, height=150, width=400).astype(int).sum(axis=2)
    assert abs(np.argmax(picture[:, 300]) - row_of_hertz(1000, 16_000, height=150)) < 3
    assert picture[:, 300].max() > 500 > 100 > picture[:, 100].max()


def test_rows_and_frequencies_are_inverse():
    for row in (0, 3.5, 77, 150):
        assert row_of_hertz(
            hertz_of_row(row, 16_000, height=150), 16_000, height=150
        ) == pytest.approx(row)
