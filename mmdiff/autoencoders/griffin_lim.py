"""GriffinLimVocoder: log-mels to sound without any training."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.transforms import GriffinLim, InverseMelScale

from mmdiff.autoencoders.mel import LogMel
from mmdiff.values.checks import check_fractions, check_sizes


class GriffinLimVocoder(nn.Module):
    """Normalised log-mel -> waveform: a least-squares spectrogram, and phases that agree with it.

    Called like a `Vocoder`, and just as deterministic; it needs no weights, but guesses what lies
    between the mel bins, and sounds hollow. Phases by the fast Griffin-Lim algorithm (Perraudin et
    al., WASPAA 2013), starting at zero.

    Args:
        mel: what it inverts.
        num_iterations: of the search for phases.
        momentum: 0 for the first algorithm (Griffin and Lim, 1984), up to 1.
    """

    def __init__(self, mel: LogMel, *, num_iterations: int = 32, momentum: float = 0.99) -> None:
        super().__init__()
        check_sizes(num_iterations=num_iterations)
        check_fractions(momentum=momentum)
        self.mel = mel
        self.inverse_mel_scale = InverseMelScale(
            mel.n_fft // 2 + 1, mel.mel_bins, mel.sample_rate, mel.f_min, mel.f_max, driver="gelsd"
        )
        self.griffin_lim = GriffinLim(
            mel.n_fft,
            num_iterations,
            mel.win_length,
            mel.hop_length,
            power=1.0,
            momentum=momentum,
            rand_init=False,
        )

    @torch.no_grad()
    def forward(self, log_mel: Tensor) -> Tensor:
        """Samples  b samples  of  b mel_frames mel_bins:  hop_length for each frame."""
        num_frames, hop_length = log_mel.shape[1], self.mel.hop_length
        magnitude = self.mel.amplitudes(log_mel.float()) * self.mel.tone_gain
        magnitude = F.pad(rearrange(magnitude, "b t m -> b m t"), (1, 1))  # over the ends
        samples: Tensor = self.griffin_lim(self.inverse_mel_scale(magnitude))
        start = hop_length // 2
        return samples[:, start : start + num_frames * hop_length]
