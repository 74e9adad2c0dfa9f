"""What footage is: its checks, its lengths, exact rates."""

from fractions import Fraction

import pytest
import torch

from mmdiff.media.clip import Clip
from mmdiff.media.footage import exact_rate

FRAMES = torch.zeros(4, 8, 6, 3, dtype=torch.uint8)
WAVEFORM = torch.zeros(1, 4000)


def test_the_longer_modality_gives_the_duration():
    clip = Clip(FRAMES, 16, WAVEFORM, 8000)
    assert clip.shape == (4, 8, 6)
    assert clip.video_seconds == Fraction(1, 4)
    assert clip.audio_seconds == clip.duration_seconds == Fraction(1, 2)
    assert Clip(FRAMES).audio_seconds == 0
    assert Clip(waveform=WAVEFORM, sample_rate=8000).shape == (0, 0, 0)


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        (16, Fraction(16)),
        (16.0, Fraction(16)),
        (12.5, Fraction(25, 2)),
        (23.976, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (30000 / 1001, Fraction(30000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        (Fraction(2997, 100), Fraction(2997, 100)),
        (59.94, Fraction(60000, 1001)),
        (24.5, Fraction(49, 2)),
    ],
)
def test_rates_are_exact(rate, exact):
    assert exact_rate(rate) == exact
    assert exact_rate(exact) == exact


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "fast", None])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ValueError, match=r"fps is .*positive"):
        exact_rate(rate)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "got neither"),
        ({"frames": FRAMES.float()}, "torch.uint8"),
        ({"frames": FRAMES[..., :2]}, r"\(4, 8, 6, 2\)"),
        ({"frames": FRAMES[:0]}, "none of them 0"),
        ({"frames": FRAMES, "sample_rate": 8000}, "no waveform"),
        ({"waveform": WAVEFORM}, "sample_rate is None"),
        ({"waveform": WAVEFORM.double(), "sample_rate": 8000}, "torch.float32"),
        ({"waveform": WAVEFORM.T, "sample_rate": 8000}, "wrong way round"),
        ({"waveform": WAVEFORM[:, :0], "sample_rate": 8000}, "None for no sound"),
        ({"waveform": WAVEFORM + 1.5, "sample_rate": 8000}, "peaks at 1.5"),
        ({"waveform": WAVEFORM / 0, "sample_rate": 8000}, "NaN or infinity"),
    ],
)
def test_what_is_no_clip_is_refused(parts, text):
    with pytest.raises(ValueError, match=text):
        Clip(**parts)


@pytest.mark.parametrize("rate", [0.0009, 0.0004, 1e-300])
def test_a_rate_that_would_be_read_as_nothing_is_refused(rate):
    with pytest.raises(ValueError, match="the slowest is 1/1001"):
        exact_rate(rate)
    assert exact_rate(Fraction(1, 5000)) == Fraction(1, 5000)
    assert exact_rate(0.5) == Fraction(1, 2)
    assert exact_rate(0.001) == Fraction(1, 1000)
