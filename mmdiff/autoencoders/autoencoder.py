"""Autoencoder: the one promise of everything that turns media into latents and back."""

from abc import abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

import torch
from diffusers.configuration_utils import ConfigMixin, FrozenDict
from diffusers.models.autoencoders.vae import AutoencoderMixin, DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from einops import rearrange
from torch import Tensor

from mmdiff.autoencoders.posterior import Posterior
from mmdiff.loading.module_memory import execution_device


class Autoencoder(ModelMixin, ConfigMixin, AutoencoderMixin):
    """Encodes to raw latents and decodes raw latents; `scale` and `unscale` go to unit variance
    and back.

    The scaling is per channel, measured on real latents by `measure_scaling`, and stored with the
    weights. `enable_slicing` encodes and decodes one clip at a time. `encodes` and `decodes` below
    make of the two what diffusers' users call.
    """

    latent_mean: Tensor
    latent_std: Tensor
    use_slicing = False
    _group_offload_block_modules = ["encoder", "decoder"]
    # what a file may hold: `scale` divides by the one and subtracts the other
    weight_bounds: ClassVar = {"latent_mean": (-1e6, 1e6), "latent_std": (1e-7, 1e6)}

    def add_scaling(self, latent_channels: int) -> None:
        """Register the scaling, neutral until measured; called by constructors."""
        self.register_buffer("latent_mean", torch.zeros(latent_channels))
        self.register_buffer("latent_std", torch.ones(latent_channels))

    @abstractmethod
    def encode(self, x: Tensor) -> Posterior:
        """Posterior over the raw latents of `x`."""

    @abstractmethod
    def decode(self, latents: Tensor, return_dict: bool = True) -> Any:
        """The media that raw `latents` stand for."""

    @abstractmethod
    def latent_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Latent shape, without batch, of an input of `shape`, without batch."""

    def forward(
        self,
        sample: Tensor,
        sample_posterior: bool = False,
        return_dict: bool = True,
        generator: torch.Generator | None = None,
    ) -> DecoderOutput | tuple[Tensor]:
        """The reconstruction of `sample`, through the mean or through a draw, as diffusers'
        autoencoders give it."""
        posterior = self.encode(sample)
        latents = posterior.sample(generator) if sample_posterior else posterior.mode()
        media = self.decode(latents, return_dict=False)
        return DecoderOutput(sample=media[0]) if return_dict else media

    @property
    def config(self) -> FrozenDict:
        """The arguments, and what diffusers' users multiply raw latents by: 1, since `scale` and
        `unscale` are per channel."""
        return FrozenDict({**self._internal_dict, "scaling_factor": 1.0})

    def placed(self, x: Tensor) -> Tensor:
        """`x` where the weights compute, in their precision."""
        return x.to(execution_device(self), self.dtype)

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


class Decoded(Tensor):
    """Decoded media: a tensor, whose `sample` is itself. All that is computed from it is plain."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @property
    def sample(self) -> Tensor:
        return self.as_subclass(Tensor)


def encodes(encode: Callable[[Any, Tensor], Posterior]) -> Callable[..., Any]:
    """`encode` of an `Autoencoder`, as diffusers' users call it: (x, return_dict=True)."""

    @wraps(encode)
    def called(self: Any, x: Tensor, return_dict: bool = True) -> Posterior | tuple[Posterior]:
        posterior = Posterior.cat([encode(self, row) for row in _rows(self, x)])
        return posterior if return_dict else (posterior,)

    return _hooked(called)


def decodes(decode: Callable[[Any, Tensor], Tensor]) -> Callable[..., Any]:
    """`decode` of an `Autoencoder`, as diffusers' users call it: (latents, return_dict=True)."""

    @wraps(decode)
    def called(self: Any, latents: Tensor, return_dict: bool = True) -> Tensor | tuple[Tensor]:
        rows = [decode(self, row) for row in _rows(self, latents)]
        media = rows[0] if len(rows) == 1 else torch.cat(rows)
        return media.as_subclass(Decoded) if return_dict else (media,)

    return _hooked(called)


def _hooked(method: Callable[..., Any]) -> Callable[..., Any]:
    """Hooks of accelerate, which offload a model, fire as they do for `forward`."""
    hooked: Callable[..., Any] = apply_forward_hook(method)
    return hooked


def _rows(autoencoder: Any, x: Tensor) -> tuple[Tensor, ...]:
    x = autoencoder.placed(x)
    return x.split(1) if autoencoder.use_slicing else (x,)
