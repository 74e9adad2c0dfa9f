"""LogMel: what a waveform sounds like, as a picture: the input of the audio autoencoder."""

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.transforms import MelScale, Spectrogram

from mmdiff.values.checks import check_sizes


class LogMel(nn.Module):
    """Normalised log-mel spectrogram: exactly one frame for every `hop_length` samples.

    Frame k looks at `win_length` samples around the middle of its hop, samples beyond either end
    being zero. A tone of amplitude `ceiling` gives about 1, anything under `floor` exactly -1;
    louder sounds are not cut, but go over 1. The window may be shorter than `n_fft`: a short one
    tells when a sound begins, the zeros around it keep the mel bins of the low tones filled.

    Args:
        win_length: samples of the Hann window; at least `hop_length`, so that no sample goes
            unseen.
        floor, ceiling: amplitudes that become -1 and 1, on a logarithmic scale.
    """

    def __init__(
        self,
        sample_rate: int = 16_000,
        *,
        n_fft: int = 1024,
        win_length: int = 512,
        hop_length: int = 250,
        mel_bins: int = 64,
        f_min: float = 60.0,
        f_max: float = 8000.0,
        floor: float = 1e-4,
        ceiling: float = 1.0,
    ) -> None:
        super().__init__()
        check_sizes(sample_rate=sample_rate, hop_length=hop_length, mel_bins=mel_bins, n_fft=n_fft)
        if not hop_length <= win_length <= n_fft:
            raise ValueError(
                f"win_length is {win_length}; it must lie from hop_length {hop_length} "
                f"to n_fft {n_fft}"
            )
        check_range_of_sound(sample_rate, f_min=f_min, f_max=f_max, floor=floor, ceiling=ceiling)
        self.sample_rate, self.n_fft, self.win_length = sample_rate, n_fft, win_length
        self.hop_length, self.mel_bins = hop_length, mel_bins
        self.f_min, self.f_max = f_min, f_max
        self.log_floor, self.log_ceiling = math.log(floor), math.log(ceiling)
        self.spectrogram = Spectrogram(n_fft, win_length, hop_length, power=1.0, center=False)
        self.mel_scale = MelScale(mel_bins, sample_rate, f_min, f_max, n_fft // 2 + 1)
        # magnitude of a tone of amplitude 1 in its bin of the spectrogram
        self.tone_gain = float(self.spectrogram.window.sum()) / 2

    def forward(self, waveform: Tensor) -> Tensor:
        """Normalised log-mel  b mel_frames mel_bins  of  b samples  in [-1, 1]."""
        num_frames = self.num_frames(waveform.shape[-1])
        both = self.n_fft - self.hop_length
        padded = F.pad(waveform, (both // 2, both - both // 2))
        spectrogram = self.spectrogram(padded) / self.tone_gain
        mel = rearrange(self.mel_scale(spectrogram), "b m t -> b t m")
        assert mel.shape[1] == num_frames
        return self.normalise(mel)

    def num_frames(self, num_samples: int) -> int:
        """Mel frames of `num_samples` samples; ValueError unless they are whole hops."""
        if num_samples < self.hop_length or num_samples % self.hop_length:
            nearest = max(1, round(num_samples / self.hop_length)) * self.hop_length
            raise ValueError(
                f"the waveform has {num_samples} samples; it must be a positive multiple of "
                f"{self.hop_length}: {nearest}"
            )
        return num_samples // self.hop_length

    def normalise(self, mel: Tensor) -> Tensor:
        """Mel amplitudes to the scale where `floor` is -1 and `ceiling` is 1."""
        floor = math.exp(self.log_floor)
        above = mel.clamp_min(floor).log() - self.log_floor
        return torch.where(mel > floor, 2 * above / (self.log_ceiling - self.log_floor) - 1, -1.0)


def check_range_of_sound(
    sample_rate: int, *, f_min: float, f_max: float, floor: float, ceiling: float
) -> None:
    """ValueError unless the frequencies in Hz lie within the sample rate, and both pairs rise."""
    if not 0 <= f_min < f_max <= sample_rate / 2:
        raise ValueError(
            f"f_min, f_max are {f_min:g}, {f_max:g} Hz; at sample_rate {sample_rate} they "
            f"must rise within 0 to {sample_rate / 2:g}"
        )
    if not 0 < floor < ceiling < math.inf:
        raise ValueError(f"floor is {floor:g} and ceiling {ceiling:g}; they must rise from above 0")
