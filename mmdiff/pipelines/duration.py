"""How long a call takes, asked before it begins."""

import time
import warnings

import torch

from mmdiff.pipelines.memory import CallSize
from mmdiff.values.shapes import LatentGrid

SLOW_SECONDS = 600
NEVER_SLOW = 10**12  # operations
DECODED_PIXEL = 90_000  # operations of a decoder
SIDE, REPEATS = 1024, 4  # of the product of matrices that measures a device


def warn_if_slow(
    size: CallSize, grid: LatentGrid, device: torch.device, *, num_steps: int, num_weights: int
) -> None:
    """Warn of a call that takes over ten minutes by `operations` and the speed of `device`.

    On a CPU core, sampling ran at 0.7 to 1.0 of the speed of one product of matrices, from 64 x 64
    to 512 x 512.
    """
    count = operations(size, grid, num_steps=num_steps, num_weights=num_weights)
    if count < NEVER_SLOW:
        return
    seconds = count / _operations_per_second(device)
    if seconds > SLOW_SECONDS:
        warnings.warn(
            f"{size} and {num_steps} steps take about {in_words(seconds)} on {device}",
            stacklevel=2,
        )


def operations(size: CallSize, grid: LatentGrid, *, num_steps: int, num_weights: int) -> float:
    """Floating-point operations of sampling and decoding: two for each weight and token, and
    attention inside of the groups of tokens."""
    weights_of_token = 12 * size.token_width**2  # of one block, which tells how many there are
    attention = 4 * size.group_tokens(grid) * size.token_width * num_weights / weights_of_token
    step = size.passes * size.tokens(grid) * (2 * num_weights + attention)
    return num_steps * step + DECODED_PIXEL * size.batch_size * size.pixels


def in_words(seconds: float) -> str:
    """`25 minutes`, `3.1 hours`, `12 days`."""
    for unit, length in (("days", 86_400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _operations_per_second(device: torch.device) -> float:
    matrix = torch.ones(SIDE, SIDE, device=device)
    synchronize = torch.get_device_module(device).synchronize
    torch.mm(matrix, matrix)
    synchronize()
    began = time.perf_counter()
    for _ in range(REPEATS):
        torch.mm(matrix, matrix)
    synchronize()
    return REPEATS * 2 * SIDE**3 / (time.perf_counter() - began)
