"""What must not go on: numbers that are not finite."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class NonFinite(ArithmeticError):  # noqa: N818
    """A loss, a gradient or a weight is NaN or infinite; the message says which, at which step, and
    for which samples where it can be told."""


def are_finite(tensors: Iterable[Tensor]) -> Tensor:
    """One bool per tensor: whether all of it is finite. Nothing is waited for."""
    flags = [tensor.detach().isfinite().all() for tensor in tensors]
    return torch.stack(flags) if flags else torch.ones(0, dtype=torch.bool)


def names_of_non_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of those that are NaN or infinite anywhere."""
    flags = are_finite(tensors.values()).tolist()
    return [name for name, is_finite in zip(tensors, flags, strict=True) if not is_finite]


def non_finite_weights(module: nn.Module) -> list[str]:
    """The names of parameters, averaged ones included, that are NaN or infinite. Buffers may hold
    an infinite number for good reason, a mask for instance."""
    return names_of_non_finite(dict(module.named_parameters()))
