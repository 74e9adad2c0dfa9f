"""Critics: small networks that learn to tell real media from made; their opinion can be a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mmdiff.values.checks import check_sizes

Critique = Callable[[Tensor, Tensor], dict[str, Tensor]]
"""(made, real) -> losses: "loss", to be added to those of who made it, and others to be shown."""


class Critic(nn.Module, ABC):
    """Gives maps of scores, higher for what looks real; the losses below are written on them."""

    @abstractmethod
    def forward(self, x: Tensor) -> list[Tensor]:
        """One or more maps of scores, each with the batch first."""


class SpectrogramCritic(Critic):
    """Waveforms  b samples, heard at several resolutions (Jang et al., arXiv 2106.07889)."""

    def __init__(self, n_ffts: Sequence[int] = (256, 512, 1024), *, width: int = 16) -> None:
        super().__init__()
        check_sizes(least=4, n_ffts=n_ffts)
        check_sizes(width=width)
        self.n_ffts = tuple(n_ffts)
        self.networks = nn.ModuleList([_spectrogram_network(width) for _ in self.n_ffts])

    def forward(self, x: Tensor) -> list[Tensor]:
        pairs = zip(self.n_ffts, self.networks, strict=True)
        return [network(_log_spectrogram(x, n_fft)) for n_fft, network in pairs]


class VideoCritic(Critic):
    """Frames  b 3 frames height width  in [-1, 1], by patches (Isola et al., arXiv 1611.07004).

    Each frame is seen beside the one before it, so that flicker shows, by 2-d convolutions alone.
    """

    def __init__(self, *, width: int = 24) -> None:
        super().__init__()
        if width < 2 or width % 2:  # layers of 2 and 4 times the width are normalised in 4 groups
            raise ValueError(f"width is {width}; it must be an even number from 2 on")
        check_sizes(width=width)
        self.network = nn.Sequential(
            nn.Conv2d(6, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.GroupNorm(4, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
            nn.GroupNorm(4, 4 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        before = torch.cat([x[:, :, :1], x[:, :, :-1]], dim=2)
        pairs = torch.cat([x, x - before], dim=1)
        scores = self.network(rearrange(pairs, "b c f h w -> (b f) c h w"))
        return [rearrange(scores, "(b f) 1 h w -> b f h w", b=x.shape[0])]


def critic_loss(critic: Critic, real: Tensor, made: Tensor) -> Tensor:
    """Hinge loss of the critic (Lim and Ye, arXiv 1705.02894): real above 1, made below -1.

    No gradient reaches `made`.
    """
    on_real, on_made = critic(real), critic(made.detach())
    losses = [F.relu(1 - score).mean() for score in on_real]
    losses += [F.relu(1 + score).mean() for score in on_made]
    return torch.stack(losses).sum() / len(on_real)


def adversarial_loss(critic: Callable[[Tensor], list[Tensor]], made: Tensor) -> Tensor:
    """What the maker of `made` is told: minus the mean score."""
    return -torch.stack([score.mean() for score in critic(made)]).mean()


def with_critique(
    losses: dict[str, Tensor], critique: Critique | None, made: Tensor, real: Tensor
) -> dict[str, Tensor]:
    """`losses`, and what `critique` has to say of `made`; without one, `losses` as they are."""
    if critique is None:
        return losses
    opinion = critique(made, real)
    return {**losses, **opinion, "loss": losses["loss"] + opinion["loss"]}


def _spectrogram_network(width: int) -> nn.Sequential:
    """b 1 bins frames -> b 1 bins/8 frames."""
    layers: list[nn.Module] = [nn.Conv2d(1, width, (9, 3), padding=(4, 1)), nn.LeakyReLU(0.2)]
    for _ in range(3):
        layers += [
            nn.Conv2d(width, width, (9, 3), stride=(2, 1), padding=(4, 1)),
            nn.LeakyReLU(0.2),
        ]
    layers.append(nn.Conv2d(width, 1, 3, padding=1))
    return nn.Sequential(*layers)


def _log_spectrogram(waveform: Tensor, n_fft: int) -> Tensor:
    """b samples -> b 1 bins frames, about [-1, 1] from -80 dB to full scale."""
    window = torch.hann_window(n_fft, device=waveform.device)
    spectrum = torch.stft(
        waveform, n_fft, n_fft // 4, window=window, pad_mode="constant", return_complex=True
    )
    power = (spectrum.real**2 + spectrum.imag**2) / (window.sum() / 2) ** 2
    return rearrange((power + 1e-8).log10() / 4 + 1, "b k t -> b 1 k t")
