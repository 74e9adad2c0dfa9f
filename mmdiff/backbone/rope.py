"""Rotary positions on three axes: time in seconds, rows, columns
(Su et al., arXiv 2104.09864; the split is Wan's)."""

import torch
from einops import rearrange
from torch import Tensor


def rotary_table(positions: Tensor, head_dim: int, *, theta: float = 10_000.0) -> Tensor:
    """Rotations of each token: positions  n 3 (time, row, column), fp32 -> n head_dim/2, complex.

    A third of the pairs of a head turn with each axis; what is left over turns with time.
    """
    space = 2 * (head_dim // 6)
    widths = (head_dim - 2 * space, space, space)
    angles = [
        positions[:, axis, None] * _frequencies(width, theta, positions.device)
        for axis, width in enumerate(widths)
    ]
    angle = torch.cat(angles, dim=-1)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn the pairs of each head: x  b n k d, table  n d/2, complex.
    Pairs are neighbours, as in Wan."""
    # as a complex number a pair is turned by one product, in fp32 whatever the precision of x
    pairs = torch.view_as_complex(rearrange(x.float(), "b n k (d two) -> b n k d two", two=2))
    turned = torch.view_as_real(pairs * table[:, None, :])
    return rearrange(turned, "b n k d two -> b n k (d two)").to(x.dtype)


def _frequencies(width: int, theta: float, device: torch.device) -> Tensor:
    exponent = torch.arange(0, width, 2, dtype=torch.float32, device=device) / max(width, 1)
    return theta**-exponent
