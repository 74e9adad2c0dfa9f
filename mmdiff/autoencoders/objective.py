"""What autoencoders of video and of audio are trained for."""

from dataclasses import dataclass

from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

from mmdiff.autoencoders.autoencoder import Autoencoder
from mmdiff.autoencoders.critic import Critique, with_critique
from mmdiff.values.checks import check_sizes, check_weights


@dataclass(frozen=True)
class ReconstructionObjective:
    """Squared error weighted by local contrast + L1 of the gradients in space and time + KL.

    Without the weight a small object on a plain background turns into a pale blob: the background
    wins by area.

    Args:
        contrast_weight: weight of a site of full local contrast, against 1 of a flat one.
        contrast_window: odd size in pixels of the neighbourhood in which contrast is measured,
            9 or more.
        gradient_weight: of the L1 distance of the differences between neighbours in space and
            in time.
        kl_weight: of the KL divergence per latent element.

    Raises ValueError for a weight below 0, and for a window that has no middle.
    """

    contrast_weight: float = 8.0
    contrast_window: int = 9
    gradient_weight: float = 0.1
    kl_weight: float = 1e-4

    def __post_init__(self) -> None:
        check_weights(
            contrast_weight=self.contrast_weight,
            gradient_weight=self.gradient_weight,
            kl_weight=self.kl_weight,
        )
        check_sizes(least=9, contrast_window=self.contrast_window)
        if self.contrast_window % 2 == 0:
            raise ValueError(
                f"contrast_window is {self.contrast_window}; it must be odd: "
                f"{self.contrast_window + 1}"
            )

    def __call__(
        self,
        autoencoder: Autoencoder,
        x: Tensor,
        noise: Tensor | None = None,
        *,
        critique: Critique | None = None,
    ) -> dict[str, Tensor]:
        """Losses on x  b 3 frames height width in [-1, 1];
        latents drawn by `noise`, or the mean if None."""
        posterior = autoencoder.encode(x)
        latents = posterior.mode() if noise is None else posterior.sample(noise=noise)
        reconstruction = autoencoder.decode(latents).float()
        error = ((reconstruction - x) ** 2).mean(dim=1, keepdim=True)
        weight = 1 + self.contrast_weight * local_contrast(x, self.contrast_window)
        weighted = (weight / weight.mean(dim=(2, 3, 4), keepdim=True) * error).mean()
        gradient = gradient_distance(reconstruction, x)
        kl = posterior.kl().mean()
        losses = {
            "loss": weighted + self.gradient_weight * gradient + self.kl_weight * kl,
            "squared_error": error.mean().detach(),
            "gradient": gradient.detach(),
            "kl": kl.detach(),
        }
        return with_critique(losses, critique, reconstruction, x)


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


def local_contrast(x: Tensor, window: int) -> Tensor:
    """Largest minus smallest value in a window around each 4 x 4 square, 0 to 1:
    b 3 f h w in [-1, 1] -> b 1 f h w."""
    frames = x.shape[2]
    flat = rearrange(x, "b c f h w -> (b f) c h w")
    highest = F.max_pool2d(flat, window, stride=4, padding=window // 2)
    lowest = -F.max_pool2d(-flat, window, stride=4, padding=window // 2)
    contrast = (highest - lowest).amax(dim=1, keepdim=True) / 2
    return repeat(contrast, "(b f) c h w -> b c f (h p) (w q)", f=frames, p=4, q=4)


def gradient_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean L1 distance between the differences of neighbours along time (if there is any),
    rows and columns."""
    difference = x - y
    distances = [difference.diff(dim=axis).abs().mean() for axis in (2, 3, 4) if x.shape[axis] > 1]
    return sum(distances[1:], distances[0])
