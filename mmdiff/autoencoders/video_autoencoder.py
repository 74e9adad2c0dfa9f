"""VideoAutoencoder: frames to latents and back, causal, 4 x 8 x 8,
without a single 3-d convolution."""

from collections.abc import Iterable, Iterator

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mmdiff.autoencoders.autoencoder import Autoencoder, decodes, encodes
from mmdiff.autoencoders.causal_conv import (
    CausalTimeConv,
    ResidualBlock,
    SpaceDownsample,
    SpaceUpsample,
    SpatialConv,
    Stream,
    TimeUpsample,
)
from mmdiff.autoencoders.posterior import Posterior
from mmdiff.values.checks import MOST_LAYERS, check_sizes

PATCH = 4


class VideoEncoder(nn.Module):
    """b f h w (3 patches) -> b f/4 h/2 w/2 c: one scale in space after patching, two in time."""

    def __init__(self, widths: tuple[int, int, int], num_blocks: int, out_channels: int) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.patch = nn.Linear(3 * PATCH**2, fine)
        self.fine = nn.ModuleList([ResidualBlock(fine) for _ in range(num_blocks)])
        self.space_down = SpaceDownsample(fine, middle)
        self.middle1 = ResidualBlock(middle)
        self.time_down1 = CausalTimeConv(middle, middle, stride=2)
        self.middle2 = ResidualBlock(middle)
        self.time_down2 = CausalTimeConv(middle, coarse, stride=2)
        self.coarse = nn.ModuleList([ResidualBlock(coarse) for _ in range(num_blocks)])
        self.norm = nn.LayerNorm(coarse)
        self.head = nn.Linear(coarse, out_channels)

    def forward(self, x: Tensor, stream: Stream) -> Tensor:
        x = self.patch(x)
        for block in self.fine:
            x = block(x, stream)
        x = self.middle1(self.space_down(x), stream)
        x = self.middle2(self.time_down1(x, stream), stream)
        x = self.time_down2(x, stream)
        for block in self.coarse:
            x = block(x, stream)
        return self.head(F.silu(self.norm(x)))


class VideoDecoder(nn.Module):
    """The way back: b f h w c -> b 1+4(f-1) 2h 2w (3 patches)."""

    def __init__(self, widths: tuple[int, int, int], num_blocks: int, in_channels: int) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.stem = nn.Linear(in_channels, coarse)
        self.coarse = nn.ModuleList([ResidualBlock(coarse) for _ in range(num_blocks)])
        self.time_up1 = TimeUpsample(coarse, middle)
        self.middle1 = ResidualBlock(middle)
        self.time_up2 = TimeUpsample(middle, middle)
        self.middle2 = ResidualBlock(middle)
        self.space_up = SpaceUpsample(middle, fine)
        self.fine = nn.ModuleList([ResidualBlock(fine) for _ in range(num_blocks)])
        self.norm = nn.LayerNorm(fine)
        self.head = SpatialConv(fine, 3 * PATCH**2)

    def forward(self, x: Tensor, stream: Stream) -> Tensor:
        x = self.stem(x)
        for block in self.coarse:
            x = block(x, stream)
        x = self.middle1(self.time_up1(x, stream), stream)
        x = self.middle2(self.time_up2(x, stream), stream)
        x = self.space_up(x)
        for block in self.fine:
            x = block(x, stream)
        return self.head(F.silu(self.norm(x)))


# ModelMixin is named because diffusers, which saves a component as [this module, its class], looks
# here for a base class whose loading method it knows.
class VideoAutoencoder(Autoencoder, ModelMixin):
    """Causal video autoencoder: 1 + 4k frames of h x w become 1 + k latent frames of h/8 x w/8.

    A clip may pass in chunks: `encode_stream` takes the first frame (or 1 + 4k of them) and then
    chunks of 4k frames, `decode_stream` chunks of latent frames; the results equal those of the
    whole clip at once, at constant memory. `enable_tiling` makes `encode` and `decode` do so.

    Args:
        latent_channels: channels of the latents.
        encoder_widths, decoder_widths: channels at a quarter of the size, at an eighth,
            and at an eighth in latent time.
        encoder_blocks, decoder_blocks: residual blocks at the finest and at the coarsest scale,
            each.

    Raises ValueError for sizes that no layer can have.
    """

    time_compression = 4
    space_compression = 8
    use_tiling = False

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 16,
        encoder_widths: tuple[int, int, int] = (64, 128, 192),
        encoder_blocks: int = 1,
        decoder_widths: tuple[int, int, int] = (80, 128, 192),
        decoder_blocks: int = 2,
    ) -> None:
        super().__init__()
        check_sizes(
            latent_channels=latent_channels,
            encoder_widths=encoder_widths,
            decoder_widths=decoder_widths,
        )
        check_sizes(
            least=0, most=MOST_LAYERS, encoder_blocks=encoder_blocks, decoder_blocks=decoder_blocks
        )
        self.encoder = VideoEncoder(encoder_widths, encoder_blocks, 2 * latent_channels)
        self.decoder = VideoDecoder(decoder_widths, decoder_blocks, latent_channels)
        self.add_scaling(latent_channels)

    @encodes
    def encode(self, x: Tensor) -> Posterior:
        """x  b 3 frames height width in [-1, 1] -> posterior over b c f h w;
        ValueError for illegal sizes."""
        self.latent_shape(tuple(x.shape[1:]))
        if self.use_tiling:
            chunks = (x[:, :, :1], *x[:, :, 1:].split(self.time_compression, dim=2))
            return Posterior.cat(list(self.encode_stream(chunks)), dim=2)
        return self._encode_chunk(x, Stream())

    @decodes
    def decode(self, latents: Tensor) -> Tensor:
        """latents  b c f h w, raw -> b 3 frames height width, about [-1, 1]."""
        if self.use_tiling:
            return torch.cat(list(self.decode_stream(latents.split(1, dim=2))), dim=2)
        return self._decode_chunk(latents, Stream())

    @apply_forward_hook
    def encode_stream(self, chunks: Iterable[Tensor]) -> Iterator[Posterior]:
        """Posteriors of chunks that follow each other: 1 + 4k frames first, 4k frames after."""
        stream = Stream()
        for index, chunk in enumerate(chunks):
            frames = chunk.shape[2] - (index == 0)
            if frames % self.time_compression:
                raise ValueError(
                    f"chunk {index} has {chunk.shape[2]} frames; "
                    "the first takes 1 + 4k, the others 4k"
                )
            yield self._encode_chunk(self.placed(chunk), stream)

    @apply_forward_hook
    def decode_stream(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Frames of chunks of raw latents that follow each other."""
        stream = Stream()
        for chunk in chunks:
            yield self._decode_chunk(self.placed(chunk), stream)

    def latent_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """(c, f, h, w) of an input of (3, frames, height, width)."""
        _, frames, height, width = shape
        if (frames - 1) % self.time_compression:
            raise ValueError(f"num_frames is {frames}; this autoencoder takes 1 + 4k frames")
        if height % self.space_compression or width % self.space_compression:
            raise ValueError(
                f"the frames are {height} x {width}; this autoencoder takes multiples of 8"
            )
        return (
            self.config.latent_channels,
            1 + (frames - 1) // self.time_compression,
            height // self.space_compression,
            width // self.space_compression,
        )

    def _encode_chunk(self, x: Tensor, stream: Stream) -> Posterior:
        x = rearrange(x, "b c f (h p) (w q) -> b f h w (c p q)", p=PATCH, q=PATCH)
        moments = rearrange(self.encoder(x, stream), "b f h w c -> b c f h w")
        mean, log_variance = moments.float().chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(-20, 4))

    def _decode_chunk(self, latents: Tensor, stream: Stream) -> Tensor:
        x = self.decoder(rearrange(latents, "b c f h w -> b f h w c"), stream)
        return rearrange(x, "b f h w (c p q) -> b c f (h p) (w q)", p=PATCH, q=PATCH)


def to_unit_range(frames: Tensor) -> Tensor:
    """uint8 frames b frames height width 3 -> b 3 frames height width in [-1, 1]."""
    return rearrange(frames.to(torch.float32), "b f h w c -> b c f h w") / 127.5 - 1


def to_frames(x: Tensor) -> Tensor:
    """b 3 frames height width, about [-1, 1] -> uint8 frames b frames height width 3."""
    pixels = ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return rearrange(pixels, "b c f h w -> b f h w c")
