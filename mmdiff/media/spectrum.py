"""A picture of a sound: its spectrogram on a logarithmic frequency axis, in colors."""

import math

import numpy as np
import torch
from einops import rearrange, reduce
from torch import Tensor

LOWEST_HERTZ = 80.0
RANGE_DB = 75.0
WINDOW_SECONDS = 0.04
# From black over violet and orange to pale yellow, even in lightness.
COLORS = np.array(
    [
        *((9, 8, 18), (44, 20, 84), (113, 31, 129), (183, 55, 121)),
        *((241, 105, 93), (254, 176, 120), (252, 253, 191)),
    ],
    dtype=np.float64,
)


def spectrum_picture(waveform: Tensor, sample_rate: int, *, height: int, width: int) -> np.ndarray:
    """height width 3, uint8; low at the bottom. A sine at full scale is the brightest, 75 dB below
    it is black.

    waveform  channels samples, float32 in [-1, 1]
    """
    decibels = _decibels(waveform, sample_rate, num_columns=width)
    num_bins = decibels.shape[0]
    hertz = np.array([hertz_of_row(row + 0.5, sample_rate, height=height) for row in range(height)])
    bins = np.clip(hertz / (sample_rate / 2) * (num_bins - 1), 0, num_bins - 1)
    brightness = np.clip(1 + _between(decibels, bins) / RANGE_DB, 0, 1)
    return np.round(_between(COLORS, brightness * (len(COLORS) - 1))).astype(np.uint8)


def hertz_of_row(row: float, sample_rate: int, *, height: int) -> float:
    """Frequency at `row` pixels from the top."""
    highest = sample_rate / 2
    return LOWEST_HERTZ * (highest / LOWEST_HERTZ) ** (1 - row / height)


def row_of_hertz(hertz: float, sample_rate: int, *, height: int) -> float:
    """The inverse of `hertz_of_row`."""
    return height * (1 - math.log(hertz / LOWEST_HERTZ) / math.log(sample_rate / 2 / LOWEST_HERTZ))


def _decibels(waveform: Tensor, sample_rate: int, *, num_columns: int) -> np.ndarray:
    """bins columns, 0 dB for a sine at full scale; column i is centred on its share of the time."""
    num_fft = 2 ** round(math.log2(WINDOW_SECONDS * sample_rate))
    num_samples = waveform.shape[1]
    mode = "reflect" if num_samples > num_fft // 2 else "constant"  # a hard end looks like a click
    padded = torch.nn.functional.pad(waveform, (num_fft // 2, num_fft // 2), mode=mode)
    centres = (torch.arange(num_columns) + 0.5) * num_samples / num_columns
    indices = centres.long()[:, None] + torch.arange(num_fft)
    window = torch.hann_window(num_fft)
    segments = padded[:, indices] * window  # channels columns samples
    power = torch.fft.rfft(segments).abs().square() / (window.sum() / 2) ** 2
    power = reduce(power, "channels columns bins -> columns bins", "mean")
    decibels = 10 * torch.log10(power.clamp_min(1e-12))
    return rearrange(decibels, "columns bins -> bins columns").numpy().astype(np.float64)


def _between(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Rows of `values` at positions between them, linearly."""
    low = np.minimum(positions.astype(int), len(values) - 2)
    part = (positions - low)[..., None]
    return values[low] * (1 - part) + values[low + 1] * part
