import math

import pytest
import torch

from mmdiff.autoencoders.griffin_lim import GriffinLimVocoder
from mmdiff.autoencoders.mel import LogMel


@pytest.fixture(scope="module")
def vocoder() -> GriffinLimVocoder:
    return GriffinLimVocoder(LogMel(), num_iterations=16)


def ping(frequency: float) -> torch.Tensor:
    """Half a second; a decaying sine from its middle on."""
    since = torch.arange(4000) / 16_000
    sound = 0.4 * torch.exp(-since / 0.08) * torch.sin(2 * math.pi * frequency * since)
    return torch.cat([torch.zeros(4000), sound])[None]


@pytest.mark.parametrize("num_frames", [4, 32])
def test_exactly_a_hop_for_every_frame(vocoder: GriffinLimVocoder, num_frames: int) -> None:
    assert vocoder(torch.full((2, num_frames, 64), -0.5)).shape == (2, num_frames * 250)


def test_silence_is_silent(vocoder: GriffinLimVocoder) -> None:
    assert (vocoder(torch.full((1, 32, 64), -1.0)) == 0).all()


@pytest.mark.parametrize("frequency", [330.0, 660.0, 1320.0])
def test_a_ping_keeps_pitch_onset_and_loudness(
    vocoder: GriffinLimVocoder, frequency: float
) -> None:
    waveform = ping(frequency)
    sound = vocoder(vocoder.mel(waveform))
    spectrum = torch.fft.rfft(sound[0, 4100:6000] * torch.hann_window(1900), 16_000).abs()
    assert abs(int(spectrum.argmax()) / frequency - 1) < 0.03
    first_loud = int((sound[0].abs() > 0.1).nonzero()[0])
    assert abs(first_loud - 4000) < 0.02 * 16_000
    assert 0.7 < sound.norm() / waveform.norm() < 1.4


def test_equal_calls_give_equal_sounds(vocoder: GriffinLimVocoder) -> None:
    log_mel = vocoder.mel(ping(660.0))
    torch.testing.assert_close(vocoder(log_mel), vocoder(log_mel), atol=0, rtol=0)
