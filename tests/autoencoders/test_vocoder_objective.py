import math

import pytest
import torch

from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.vocoder import Vocoder
from mmdiff.autoencoders.vocoder_objective import VocoderObjective, amplitudes


@pytest.fixture
def objective() -> VocoderObjective:
    return VocoderObjective(LogMel())


def tones(*frequencies: float) -> torch.Tensor:
    time = torch.arange(8000) / 16_000
    return torch.stack(
        [0.3 * torch.sin(2 * math.pi * frequency * time) for frequency in frequencies]
    )


@pytest.mark.parametrize("n_fft", [128, 512, 2048])
def test_a_tone_has_its_amplitude(n_fft: int) -> None:
    frequency = 16_000 / n_fft * (n_fft // 16)  # in the middle of a bin
    middle = amplitudes(tones(frequency), n_fft)[0, n_fft // 16, 8]
    torch.testing.assert_close(middle, torch.tensor(0.3), atol=1e-3, rtol=0)


def test_the_true_sound_has_no_loss(objective: VocoderObjective) -> None:
    waveform = tones(330, 660)
    assert objective(lambda log_mel: waveform, waveform)["loss"] < 1e-6


def test_silence_for_silence_has_no_loss(objective: VocoderObjective) -> None:
    waveform = torch.zeros(2, 8000)
    assert objective(lambda log_mel: waveform, waveform)["loss"] < 1e-6


def test_phase_is_not_heard(objective: VocoderObjective) -> None:
    waveform = tones(330, 660)
    assert objective(lambda log_mel: -waveform, waveform)["loss"] < 1e-6


def test_worse_sounds_lose_more(objective: VocoderObjective) -> None:
    waveform = tones(330, 660)
    quieter, higher, silent = 0.9 * waveform, tones(350, 700), torch.zeros_like(waveform)
    losses = [
        float(objective(lambda _, s=s: s, waveform)["loss"]) for s in (quieter, higher, silent)
    ]
    assert losses == sorted(losses)
    assert losses[0] > 0


def test_a_hiss_in_silence_is_a_loss(objective: VocoderObjective) -> None:
    hiss = 1e-2 * torch.randn(1, 8000)
    assert objective(lambda log_mel: hiss, torch.zeros(1, 8000))["loss"] > 1


def test_noise_reaches_only_what_the_vocoder_is_given() -> None:
    objective = VocoderObjective(LogMel(), mel_noise=0.1)
    waveform, given = tones(330), []

    def vocoder(log_mel: torch.Tensor) -> torch.Tensor:
        given.append(log_mel)
        return waveform

    assert objective(vocoder, waveform, torch.randn(1, 32, 64))["loss"] < 1e-6
    assert (given[0] - objective.mel(waveform)).abs().max() > 0.05
    assert given[0].min() >= -1


def test_learns(objective: VocoderObjective) -> None:
    torch.manual_seed(0)
    vocoder, waveform = Vocoder(width=32, hidden=64, num_blocks=1), tones(330, 660)
    optimizer, losses = torch.optim.AdamW(vocoder.parameters(), lr=3e-3), []
    for _ in range(40):
        loss = objective(vocoder, waveform)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
