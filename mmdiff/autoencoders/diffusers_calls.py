"""How diffusers' users call an autoencoder: one layer around `encode` and `decode` of ours.

What comes back is what ours promise, and answers to diffusers' names as well: a `Posterior` to
`latent_dist`, decoded media to `sample`; with `return_dict=False` it comes in a tuple.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor

from mmdiff.autoencoders.posterior import Posterior


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
