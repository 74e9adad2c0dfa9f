"""Posterior: what an encoder says of its input, a diagonal Gaussian over latents."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers.utils.torch_utils import randn_tensor
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
            noise = randn_tensor(
                self.mean.shape, generator, device=self.mean.device, dtype=torch.float32
            )
        return self.mean + (0.5 * self.log_variance).exp() * noise.to(self.mean)

    def mode(self) -> Tensor:
        return self.mean

    @property
    def latent_dist(self) -> "Posterior":
        """Itself: diffusers' encoders hand out their distribution by this name."""
        return self

    @classmethod
    def cat(cls, posteriors: "Sequence[Posterior]", dim: int = 0) -> "Posterior":
        """One of several; along the batch, or along the time of a stream."""
        if len(posteriors) == 1:
            return posteriors[0]
        return cls(
            torch.cat([one.mean for one in posteriors], dim),
            torch.cat([one.log_variance for one in posteriors], dim),
        )

    def kl(self) -> Tensor:
        """KL divergence to the unit Gaussian, per row and averaged over the latent elements:
        shape b, in nats."""
        element = 0.5 * (self.mean**2 + self.log_variance.exp() - 1 - self.log_variance)
        return element.flatten(1).mean(1)
