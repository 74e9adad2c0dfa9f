"""Posterior: what an encoder says of its input, a diagonal Gaussian over latents."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Posterior:
    """A diagonal Gaussian q(z | x) (Kingma and Welling, arXiv 1312.6114).

    mean, log_variance  b c ..., raw latents (not yet scaled to unit variance)
    """

    mean: Tensor
    log_variance: Tensor

    def sample(
        self, generator: torch.Generator | None = None, *, noise: Tensor | None = None
    ) -> Tensor:
        """One draw; from `noise` (unit variance, shaped like the mean) if given,
        else drawn by `generator`."""
        if noise is None:
            noise = torch.randn(self.mean.shape, generator=generator, dtype=torch.float32)
        return self.mean + (0.5 * self.log_variance).exp() * noise.to(self.mean)

    def mode(self) -> Tensor:
        return self.mean

    def kl(self) -> Tensor:
        """KL divergence to the unit Gaussian, per row and averaged over the latent elements:
        shape b, in nats."""
        element = 0.5 * (self.mean**2 + self.log_variance.exp() - 1 - self.log_variance)
        return element.flatten(1).mean(1)
