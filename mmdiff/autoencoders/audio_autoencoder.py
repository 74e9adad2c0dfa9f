"""AudioAutoencoder: log-mels to latents and back, 4 x 4 in time and mel, by 2-d convolutions."""

from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mmdiff.autoencoders.autoencoder import Autoencoder, decodes, encodes
from mmdiff.autoencoders.causal_conv import SpaceDownsample, SpaceUpsample, SpatialConv
from mmdiff.autoencoders.posterior import Posterior
from mmdiff.values.checks import MOST_LAYERS, check_sizes

PATCH = 2


class MelBlock(nn.Module):
    """Residual block of two 3 x 3 convolutions: b 1 t m c; the identity at initialisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(channels, eps=1e-6)
        self.conv1 = SpatialConv(channels, channels)
        self.norm2 = nn.RMSNorm(channels, eps=1e-6)
        self.conv2 = SpatialConv(channels, channels)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


# ModelMixin is named because diffusers, which saves a component as [this module, its class], looks
# here for a base class whose loading method it knows.
class AudioAutoencoder(Autoencoder, ModelMixin):
    """Normalised log-mels  b 1 mel_frames mel_bins  to latents  b c t m, 4 x 4 times smaller.

    A log-mel is treated as a picture of one channel. Nothing in it is causal: sound is decoded
    whole.

    Args:
        mel_bins: of the log-mels; a multiple of 4.
        latent_channels: c.
        fine_width, coarse_width: channels at half and at a quarter of the resolution.
        num_blocks: residual blocks at a quarter of the resolution; at half there is one.

    Raises ValueError for sizes that no layer can have.
    """

    time_compression = 4
    mel_compression = 4

    @register_to_config
    def __init__(
        self,
        mel_bins: int = 64,
        latent_channels: int = 8,
        *,
        fine_width: int = 24,
        coarse_width: int = 64,
        num_blocks: int = 2,
    ) -> None:
        super().__init__()
        check_sizes(
            mel_bins=mel_bins,
            latent_channels=latent_channels,
            fine_width=fine_width,
            coarse_width=coarse_width,
        )
        check_sizes(least=0, most=MOST_LAYERS, num_blocks=num_blocks)
        if mel_bins % self.mel_compression:
            nearest = max(1, round(mel_bins / self.mel_compression)) * self.mel_compression
            raise ValueError(f"mel_bins is {mel_bins}; it must be a multiple of 4: {nearest}")
        self.encoder = nn.Sequential(
            nn.Linear(PATCH**2, fine_width),
            MelBlock(fine_width),
            SpaceDownsample(fine_width, coarse_width),
            *[MelBlock(coarse_width) for _ in range(num_blocks)],
            nn.RMSNorm(coarse_width, eps=1e-6),
            nn.SiLU(),
            nn.Linear(coarse_width, 2 * latent_channels),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_channels, coarse_width),
            *[MelBlock(coarse_width) for _ in range(num_blocks)],
            SpaceUpsample(coarse_width, fine_width),
            MelBlock(fine_width),
            nn.RMSNorm(fine_width, eps=1e-6),
            nn.SiLU(),
            SpatialConv(fine_width, PATCH**2),
        )
        self.add_scaling(latent_channels)

    @encodes
    def encode(self, x: Tensor) -> Posterior:
        self.latent_shape(tuple(x.shape[1:]))
        patches = rearrange(x, "b c (t p) (m q) -> b 1 t m (c p q)", p=PATCH, q=PATCH)
        moments = rearrange(self.encoder(patches), "b 1 t m c -> b c t m").float()
        mean, log_variance = moments.chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-20, 4))

    @decodes
    def decode(self, latents: Tensor) -> Tensor:
        patches = self.decoder(rearrange(latents, "b c t m -> b 1 t m c"))
        return rearrange(patches, "b 1 t m (c p q) -> b c (t p) (m q)", p=PATCH, q=PATCH)

    def latent_shape(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """(c, t, m) of an input of (1, mel_frames, mel_bins); ValueError unless it divides."""
        channels, mel_frames, mel_bins = shape
        if channels != 1 or mel_bins != self.config.mel_bins:
            raise ValueError(
                f"the log-mels are {channels} {mel_frames} {mel_bins} (channels, frames, bins); "
                f"this autoencoder takes 1 {mel_frames} {self.config.mel_bins}"
            )
        if mel_frames < 1 or mel_frames % self.time_compression:
            nearest = max(1, round(mel_frames / self.time_compression)) * self.time_compression
            raise ValueError(
                f"there are {mel_frames} mel frames; this autoencoder takes multiples of "
                f"{self.time_compression}: {nearest}"
            )
        return (
            self.config.latent_channels,
            mel_frames // self.time_compression,
            mel_bins // self.mel_compression,
        )
