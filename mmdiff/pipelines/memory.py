"""How much memory a call needs, asked before it is taken."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mmdiff.pipelines.decode import PIXELS_AT_ONCE
from mmdiff.values.shapes import LatentGrid

FLOAT_BYTES = 4
LIVE_TENSORS = 32  # of a token's width, alive at once inside a block, feed-forward included
DECODER_FLOATS = 64  # of feature maps for each pixel that is decoded at once
OUTPUT_COPIES = 3  # the frames as decoded, as asked for, and as uint8 clips


@dataclass(frozen=True, kw_only=True)
class CallSize:
    """What decides the memory of a call: the clips, and the transformer's tokens.

    passes  predictions in one batched call, for guidance
    patch   latent pixels along each side of a token
    """

    num_frames: int
    height: int
    width: int
    batch_size: int
    passes: int
    patch: int
    token_width: int

    def __str__(self) -> str:
        return (
            f"num_frames={self.num_frames}, height={self.height}, width={self.width} and a batch "
            f"of {self.batch_size}"
        )

    @property
    def pixels(self) -> int:
        """Of one clip, all frames."""
        return self.num_frames * self.height * self.width

    def group_tokens(self, grid: LatentGrid) -> int:
        """Of one latent frame: those of the picture and those of the sound."""
        sites = self.height * self.width // (grid.space_compression * self.patch) ** 2
        return sites + grid.audio_frames_per_latent_frame

    def tokens(self, grid: LatentGrid) -> int:
        """Of all clips."""
        return self.batch_size * grid.latent_frames(self.num_frames) * self.group_tokens(grid)

    def bytes_needed(self, grid: LatentGrid) -> int:
        """An estimate, on the high side, of what sampling and decoding allocate."""
        pixels = self.pixels
        sampling = self.passes * self.tokens(grid) * self.token_width * LIVE_TENSORS
        one_latent_frame = grid.time_compression * self.height * self.width
        decoding = min(pixels, max(PIXELS_AT_ONCE, one_latent_frame)) * DECODER_FLOATS
        outputs = self.batch_size * pixels * 3 * OUTPUT_COPIES
        return FLOAT_BYTES * (max(sampling, decoding) + outputs)


def check_memory(size: CallSize, grid: LatentGrid, device: torch.device) -> None:
    """Raise ValueError if the call needs more than is free on `device`, naming what would fit."""
    free = free_bytes(device)
    needed = size.bytes_needed(grid)
    if free is None or needed <= free:
        return
    steps = size.num_frames // grid.time_compression
    frames = 1 + grid.time_compression * _largest(
        steps,
        lambda k: _fits(replace(size, num_frames=1 + grid.time_compression * k), grid, free),
    )
    side = _largest(
        max(size.height, size.width) // grid.space_compression // size.patch,
        lambda k: _fits(_square(size, k * grid.space_compression * size.patch), grid, free),
    )
    side *= grid.space_compression * size.patch
    batch = _largest(size.batch_size, lambda k: _fits(replace(size, batch_size=k), grid, free))
    advice = [f"a batch of {batch}"] if 0 < batch < size.batch_size else []
    advice += [f"num_frames={frames}"] if frames < size.num_frames else []
    advice += [f"{side} x {side} pixels"] if side else []
    raise ValueError(
        f"{size} need about {_readable(needed)} of memory; "
        f"{_readable(free)} are free on {device}. "
        f"One of these would fit: {' or '.join(advice) or 'none of these changed alone'}"
    )


def _fits(size: CallSize, grid: LatentGrid, free: int) -> bool:
    return size.bytes_needed(grid) <= 0.9 * free


def _square(size: CallSize, side: int) -> CallSize:
    return replace(size, height=side, width=side)


def _largest(highest: int, fits: Callable[[int], bool]) -> int:
    """The largest number from 0 to `highest` that fits, by halving; 0 where none does."""
    lowest = 0
    while lowest < highest:
        middle = (lowest + highest + 1) // 2
        lowest, highest = (middle, highest) if fits(middle) else (lowest, middle - 1)
    return lowest


def free_bytes(device: torch.device) -> int | None:
    """Free memory of `device`, within the limit of the container if there is one.

    None where nobody can tell.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    known = [
        value for value in (_available_of_machine(), _available_of_container()) if value is not None
    ]
    return min(known, default=None)


def _available_of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _available_of_container() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text())
        return limit - int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return None


def _readable(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} PB"
