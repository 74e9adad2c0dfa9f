"""What a call costs, estimated before it begins: memory, or it is refused, and time."""

import time
import warnings
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from mmdiff.pipelines.codec import PIXELS_AT_ONCE
from mmdiff.values.shapes import LatentGrid

FLOAT_BYTES = 4
LIVE_TENSORS = 32  # of a token's width, alive at once inside a block, feed-forward included
DECODER_FLOATS = 64  # of feature maps for each pixel that is decoded at once
OUTPUT_COPIES = 3  # the frames as decoded, as asked for, and as uint8 clips

SLOW_SECONDS = 600
NEVER_SLOW = 10**12  # operations
DECODED_PIXEL = 90_000  # operations of a decoder
SIDE, REPEATS = 1024, 4  # of the product of matrices that measures a device


@dataclass(frozen=True, kw_only=True)
class CallSize:
    """What the cost of a call follows from: the clips, and the transformer.

    passes  predictions in one batched call, for guidance
    patch   latent pixels along each side of a token
    """

    num_frames: int
    height: int
    width: int
    batch_size: int
    num_steps: int
    passes: int
    patch: int
    token_width: int
    num_weights: int
    grid: LatentGrid

    def __str__(self) -> str:
        return (
            f"num_frames={self.num_frames}, height={self.height}, width={self.width} and a batch "
            f"of {self.batch_size}"
        )

    def cost(self) -> tuple[int, float]:
        """Bytes that sampling and decoding allocate, on the high side; and floating-point
        operations: two for each weight and token, and attention inside of the groups of tokens."""
        grid, area = self.grid, self.height * self.width
        group = area // (grid.space_compression * self.patch) ** 2
        group += grid.audio_frames_per_latent_frame
        groups = self.batch_size * grid.latent_frames(self.num_frames)
        tokens = self.passes * groups * group
        sampling = tokens * self.token_width * LIVE_TENSORS
        at_once = max(PIXELS_AT_ONCE, grid.time_compression * area)
        decoding = min(self.num_frames * area, at_once) * DECODER_FLOATS
        pixels = self.batch_size * self.num_frames * area
        needed = FLOAT_BYTES * (max(sampling, decoding) + pixels * 3 * OUTPUT_COPIES)
        weights_of_token = 12 * self.token_width**2  # of one block: how many blocks there are
        attention = 4 * group * self.token_width * self.num_weights / weights_of_token
        step = tokens * (2 * self.num_weights + attention)
        return needed, self.num_steps * step + DECODED_PIXEL * pixels


def check_cost(size: CallSize, device: torch.device) -> None:
    """Raise ValueError for a call that needs more memory than is free on `device`, naming what
    would fit; warn of one that takes over ten minutes.

    On a CPU core, sampling ran at 0.7 to 1.0 of the speed of one product of matrices, from 64 x 64
    to 512 x 512.
    """
    free, (needed, operations) = free_bytes(device), size.cost()
    if free is not None and needed > free:
        raise ValueError(
            f"{size} need about {_readable(needed)} of memory; "
            f"{_readable(free)} are free on {device}. "
            f"One of these would fit: {_smaller(size, 0.9 * free)}"
        )
    if operations < NEVER_SLOW:
        return
    seconds = operations / operations_per_second(device)
    if seconds > SLOW_SECONDS:
        warnings.warn(
            f"{size} and {size.num_steps} steps take about {in_words(seconds)} on {device}",
            stacklevel=2,
        )


def _smaller(size: CallSize, limit: float) -> str:
    """Calls with fewer clips, or frames, or pixels that need less than `limit` bytes."""

    def largest(highest: int, smaller: Callable[[int], CallSize]) -> int:
        """The largest number from 0 to `highest` that fits."""
        return bisect_right(range(1, highest + 1), limit, key=lambda k: smaller(k).cost()[0])

    step, side = size.grid.time_compression, size.grid.space_compression * size.patch
    batch = largest(size.batch_size, lambda k: replace(size, batch_size=k))
    frames = 1 + step * largest(
        size.num_frames // step, lambda k: replace(size, num_frames=1 + step * k)
    )
    pixels = side * largest(
        max(size.height, size.width) // side,
        lambda k: replace(size, height=k * side, width=k * side),
    )
    advice = [f"a batch of {batch}"] if 0 < batch < size.batch_size else []
    advice += [f"num_frames={frames}"] if frames < size.num_frames else []
    advice += [f"{pixels} x {pixels} pixels"] if pixels else []
    return " or ".join(advice) or "none of these changed alone"


def free_bytes(device: torch.device) -> int | None:
    """Free memory of `device`, within the limit of the container if there is one; None where
    nobody can tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    known = [psutil.virtual_memory().available]
    container = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # there is none, or its limit is the word "max"
        limit = int((container / "memory.max").read_text())
        known.append(limit - int((container / "memory.current").read_text()))
    return min(known)


def operations_per_second(device: torch.device) -> float:
    """The speed of `device`, measured by a product of matrices."""
    matrix = torch.ones(SIDE, SIDE, device=device)
    synchronize = torch.get_device_module(device).synchronize
    torch.mm(matrix, matrix)
    synchronize()
    began = time.perf_counter()
    for _ in range(REPEATS):
        torch.mm(matrix, matrix)
    synchronize()
    return REPEATS * 2 * SIDE**3 / (time.perf_counter() - began)


def in_words(seconds: float) -> str:
    """`25 minutes`, `3.1 hours`, `12 days`."""
    for unit, length in (("days", 86_400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _readable(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} PB"
