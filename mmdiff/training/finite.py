"""Training on numbers that are not finite stops."""

from torch import nn

from mmdiff.loading.finite import names_of_non_finite


class NonFinite(ArithmeticError):  # noqa: N818
    """A loss, a gradient or a weight is NaN or infinite; the message says which, at which step, and
    for which samples where it can be told."""


def non_finite_weights(module: nn.Module) -> list[str]:
    """The names of parameters, averaged ones included, that are NaN or infinite. Buffers may hold
    an infinite number for good reason, a mask for instance."""
    return names_of_non_finite(dict(module.named_parameters()))
