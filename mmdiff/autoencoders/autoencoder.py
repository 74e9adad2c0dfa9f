"""Autoencoder: the one promise of everything that turns media into latents and back."""

from abc import abstractmethod

import torch
from diffusers.configuration_utils import ConfigMixin
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor

from mmdiff.autoencoders.posterior import Posterior


class Autoencoder(ModelMixin, ConfigMixin):
    """Encodes to raw latents and decodes raw latents; `scale` and `unscale` go to unit variance
    and back.

    The scaling is per channel, measured on real latents by `measure_scaling`, and stored with the
    weights.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def add_scaling(self, latent_channels: int) -> None:
        """Register the scaling, neutral until measured; called by constructors."""
        self.register_buffer("latent_mean", torch.zeros(latent_channels))
        self.register_buffer("latent_std", torch.ones(latent_channels))

    @abstractmethod
    def encode(self, x: Tensor) -> Posterior:
        """Posterior over the raw latents of `x`."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """The media that raw `latents` stand for."""

    @abstractmethod
    def latent_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Latent shape, without batch, of an input of `shape`, without batch."""

    def forward(self, x: Tensor, *, noise: Tensor | None = None) -> Tensor:
        """Reconstruction of `x`: through the mean, or through a draw by `noise`."""
        posterior = self.encode(x)
        return self.decode(posterior.mode() if noise is None else posterior.sample(noise=noise))

    def scale(self, raw: Tensor) -> Tensor:
        """Raw latents b c ... to unit variance."""
        return (raw - _per_channel(self.latent_mean, raw)) / _per_channel(self.latent_std, raw)

    def unscale(self, latents: Tensor) -> Tensor:
        """Latents b c ... of unit variance back to raw ones."""
        return latents * _per_channel(self.latent_std, latents) + _per_channel(
            self.latent_mean, latents
        )

    @torch.no_grad()
    def measure_scaling(self, raw: Tensor) -> None:
        """Set the scaling from raw latents b c ...:
        afterwards `scale(raw)` has mean 0, variance 1 per channel."""
        rows = rearrange(raw.float(), "b c ... -> c (b ...)")
        self.latent_mean.copy_(rows.mean(1))
        self.latent_std.copy_(rows.std(1).clamp_min(1e-6))


def _per_channel(value: Tensor, like: Tensor) -> Tensor:
    return value.to(like).reshape(-1, *[1] * (like.ndim - 2))
