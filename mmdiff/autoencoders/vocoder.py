"""Vocoder: log-mels to sound, by 1-d ConvNeXt blocks and an inverse Fourier transform."""

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.functional import melscale_fbanks

from mmdiff.autoencoders.mel import check_range_of_sound
from mmdiff.values.checks import MOST_LAYERS, check_sizes

LOUDEST = 7.0
"""Log-magnitude that no bin goes over: untrained weights, or wild log-mels, stay finite."""


class ConvNextBlock(nn.Module):
    """Depthwise convolution over time, then a feed-forward layer (arXiv 2201.03545): b t d."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.time = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.layer_scale = nn.Parameter(torch.full((width,), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        h = rearrange(self.time(rearrange(x, "b t d -> b d t")), "b d t -> b t d")
        return x + self.layer_scale * self.contract(F.gelu(self.expand(self.norm(h))))


class Vocoder(ModelMixin, ConfigMixin):
    """Normalised log-mel -> waveform: a spectrum a frame, then the inverse (arXiv 2306.00814).

    The log-magnitudes start as the log-mel, read between its bins, and the network adds to them; so
    loudness and silence are right from the first step, and what is left to learn is mainly the
    phase.

    Args:
        mel_bins, hop_length, output_sampling_rate, f_min, f_max, floor, ceiling: of the `LogMel`
            that it inverts.
        n_fft: samples of the window of each frame; the shorter, the sharper an onset can be.
        width, hidden, num_blocks: of the ConvNeXt blocks.
    """

    @register_to_config
    def __init__(
        self,
        mel_bins: int = 64,
        *,
        hop_length: int = 250,
        output_sampling_rate: int = 16_000,
        f_min: float = 60.0,
        f_max: float = 8000.0,
        floor: float = 1e-4,
        ceiling: float = 1.0,
        n_fft: int = 512,
        width: int = 128,
        hidden: int = 384,
        num_blocks: int = 5,
    ) -> None:
        super().__init__()
        check_sizes(
            mel_bins=mel_bins,
            hop_length=hop_length,
            output_sampling_rate=output_sampling_rate,
            n_fft=n_fft,
            width=width,
            hidden=hidden,
        )
        check_sizes(least=0, most=MOST_LAYERS, num_blocks=num_blocks)
        check_range_of_sound(
            output_sampling_rate, f_min=f_min, f_max=f_max, floor=floor, ceiling=ceiling
        )
        if n_fft % 2 or n_fft < hop_length:
            raise ValueError(
                f"n_fft is {n_fft}; it must be even and not under hop_length {hop_length}: "
                f"for instance {2 * hop_length}"
            )
        num_bins = n_fft // 2 + 1
        self.stem = nn.Conv1d(mel_bins, width, 7, padding=3)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList([ConvNextBlock(width, hidden) for _ in range(num_blocks)])
        self.head_norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, 2 * num_bins)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.mel_to_magnitude = nn.Parameter(torch.empty(num_bins, mel_bins))  # k m
        if not self.mel_to_magnitude.is_meta:  # else it is only looked at, or loaded into
            # A bin reads the mel bins around it by their triangles, which sum to 1 there.
            triangles = melscale_fbanks(num_bins, f_min, f_max, mel_bins, output_sampling_rate)
            self.mel_to_magnitude.data = triangles * (math.log(ceiling / floor) / 2)
        self.magnitude_at_floor = nn.Parameter(torch.full((num_bins,), math.log(floor * n_fft / 8)))

    def forward(self, log_mel: Tensor) -> Tensor:
        """Samples  b samples  of  b mel_frames mel_bins:  hop_length for each frame."""
        log_mel = log_mel.to(self.dtype)
        x = self.stem(rearrange(log_mel, "b t m -> b m t"))  # b d t
        x = self.norm(rearrange(x, "b d t -> b t d"))
        for block in self.blocks:
            x = block(x)
        change, phase = self.head(self.head_norm(x)).float().chunk(2, dim=-1)  # b t k
        start = F.linear(log_mel + 1, self.mel_to_magnitude, self.magnitude_at_floor)
        magnitude = (start.float() + change).clamp(max=LOUDEST).exp()
        return inverse_spectrogram(torch.polar(magnitude, phase), self.config.hop_length)


def inverse_spectrogram(spectrum: Tensor, hop_length: int) -> Tensor:
    """Samples  b samples  of  b t bins, complex: exactly `hop_length` samples a frame.

    Frame k lies around the middle of hop k. An empty frame at either end carries the sum of windows
    over the edges, so that it never vanishes and `torch.istft` can divide by it.
    """
    num_frames, n_fft = spectrum.shape[1], 2 * (spectrum.shape[2] - 1)
    framed = F.pad(rearrange(spectrum, "b t k -> b k t"), (1, 1))
    window = torch.hann_window(n_fft, device=spectrum.device)
    samples = torch.istft(framed, n_fft, hop_length, window=window)
    start = hop_length // 2
    return samples[:, start : start + num_frames * hop_length]
