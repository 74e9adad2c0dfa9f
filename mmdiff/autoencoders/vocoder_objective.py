"""VocoderObjective: what a vocoder is trained for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mmdiff.autoencoders.critic import Critique, with_critique
from mmdiff.autoencoders.mel import LogMel
from mmdiff.values.checks import check_sizes, check_weights

QUIET = 1e-3
"""Amplitude added to what distances are relative to: a batch of silence outweighs no other."""


class VocoderObjective(nn.Module):
    """Distance of spectra at several resolutions (arXiv 1910.11480) + L1 of the log-mel.

    None of it hears an absolute phase, which a log-mel does not tell. Magnitudes are compared as
    amplitudes of tones, on a linear scale and on a logarithmic one that ends at `floor`, where
    silence counts as much as sound.

    Args:
        mel: what the vocoder inverts.
        n_ffts: the resolutions, in samples; the hop of each is a quarter.
        floor: amplitude under which everything is silence.
        mel_noise: standard deviation of noise on the log-mels that the vocoder is given, since
            those of an autoencoder, or a sampler, are never quite right.

    Raises ValueError for a weight below 0, and for a resolution that is none.
    """

    def __init__(
        self,
        mel: LogMel,
        *,
        n_ffts: Sequence[int] = (128, 512, 2048),
        floor: float = 1e-4,
        linear_weight: float = 1.0,
        log_weight: float = 1.0,
        mel_weight: float = 1.0,
        mel_noise: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(least=4, n_ffts=n_ffts)
        check_weights(above=True, floor=floor)
        check_weights(
            linear_weight=linear_weight,
            log_weight=log_weight,
            mel_weight=mel_weight,
            mel_noise=mel_noise,
        )
        self.mel, self.n_ffts, self.floor = mel, tuple(n_ffts), floor
        self.linear_weight, self.log_weight, self.mel_weight = linear_weight, log_weight, mel_weight
        self.mel_noise = mel_noise

    def forward(
        self,
        vocoder: Callable[[Tensor], Tensor],
        waveform: Tensor,
        noise: Tensor | None = None,
        *,
        critique: Critique | None = None,
    ) -> dict[str, Tensor]:
        """Losses on  b samples  in [-1, 1]; `noise`, if given: unit variance, like the log-mel."""
        log_mel = self.mel(waveform)
        given = log_mel if noise is None else (log_mel + self.mel_noise * noise).clamp_min(-1)
        sound = vocoder(given).float()
        linear, log = waveform.new_zeros(()), waveform.new_zeros(())
        for n_fft in self.n_ffts:
            heard, wanted = amplitudes(sound, n_fft), amplitudes(waveform, n_fft)
            linear = linear + (heard - wanted).norm() / (
                wanted.norm() + QUIET * wanted.numel() ** 0.5
            )
            log = log + (self._log(heard) - self._log(wanted)).abs().mean()
        linear, log = linear / len(self.n_ffts), log / len(self.n_ffts)
        mel = (self.mel(sound) - log_mel).abs().mean()
        loss = self.linear_weight * linear + self.log_weight * log + self.mel_weight * mel
        losses = {
            "loss": loss,
            "linear": linear.detach(),
            "log": log.detach(),
            "mel": mel.detach(),
        }
        return with_critique(losses, critique, sound, waveform)

    def _log(self, amplitude: Tensor) -> Tensor:
        return (amplitude + self.floor).log()


def amplitudes(waveform: Tensor, n_fft: int) -> Tensor:
    """Magnitude spectrogram b bins frames, scaled so that a tone of amplitude a gives a."""
    window = torch.hann_window(n_fft, device=waveform.device)
    spectrum = torch.stft(
        waveform, n_fft, n_fft // 4, window=window, pad_mode="constant", return_complex=True
    )
    power = spectrum.real**2 + spectrum.imag**2
    return (power + 1e-12).sqrt() / (window.sum() / 2)
