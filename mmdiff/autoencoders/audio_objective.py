"""AudioReconstructionObjective: what an audio autoencoder is trained for."""

from dataclasses import dataclass

from torch import Tensor

from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.autoencoders.critic import Critique, with_critique
from mmdiff.values.checks import check_weights


@dataclass(frozen=True)
class AudioReconstructionObjective:
    """L1 and squared error of the log-mel + L1 of its differences in time + KL.

    The squared error tends to the loud strokes of a ping, L1 to the silence around it, which must
    come out as silence; the differences in time keep its onset sharp.

    Args:
        squared_weight: of the squared error, against 1 of the L1 distance.
        gradient_weight: of the L1 distance of the differences between neighbours in time.
        kl_weight: of the KL divergence per latent element; it decides how much noise the latents
            must bear.

    Raises ValueError for a weight below 0.
    """

    squared_weight: float = 1.0
    gradient_weight: float = 0.5
    kl_weight: float = 1e-3

    def __post_init__(self) -> None:
        check_weights(
            squared_weight=self.squared_weight,
            gradient_weight=self.gradient_weight,
            kl_weight=self.kl_weight,
        )

    def __call__(
        self,
        autoencoder: Autoencoder,
        x: Tensor,
        noise: Tensor | None = None,
        *,
        critique: Critique | None = None,
    ) -> dict[str, Tensor]:
        """Losses on x  b 1 mel_frames mel_bins; latents drawn by `noise`, or the mean if None."""
        posterior = autoencoder.encode(x)
        latents = posterior.mode() if noise is None else posterior.sample(noise=noise)
        reconstruction = autoencoder.decode(latents).float()
        difference = reconstruction - x
        absolute, squared = difference.abs().mean(), (difference**2).mean()
        gradient = difference.diff(dim=2).abs().mean()
        kl = posterior.kl().mean()
        loss = absolute + self.squared_weight * squared + self.gradient_weight * gradient
        losses = {
            "loss": loss + self.kl_weight * kl,
            "absolute_error": absolute.detach(),
            "squared_error": squared.detach(),
            "kl": kl.detach(),
        }
        return with_critique(losses, critique, reconstruction, x)
