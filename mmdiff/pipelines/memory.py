"""How much memory a call needs, asked before it is taken."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from mmdiff.values.shapes import LatentGrid

FLOAT_BYTES = 4
LIVE_TENSORS = 32  # tensors of one token's width that are alive at once inside a block, feed-forward included
DECODER_CHANNELS = 256  # feature maps alive at once at full resolution while one clip is decoded
OUTPUT_COPIES = 3  # the frames as decoded, as asked for, and as uint8 clips


@dataclass(frozen=True, kw_only=True)
class CallSize:
    """What decides the memory of a call."""

    num_frames: int
    height: int
    width: int
    batch_size: int
    passes: int
    token_width: int
    decodes_at_once: int = 1

    def bytes_needed(self, grid: LatentGrid) -> int:
        """An estimate, on the high side, of what sampling and decoding allocate."""
        pixels = self.num_frames * self.height * self.width
        slices = 1 + (self.num_frames - 1) // grid.time_compression
        sites = self.height * self.width // grid.space_compression**2
        tokens = slices * (sites + grid.audio_channels * grid.mel_bins)
        sampling = self.batch_size * self.passes * tokens * self.token_width * LIVE_TENSORS
        decoding = min(self.batch_size, self.decodes_at_once) * pixels * DECODER_CHANNELS
        outputs = self.batch_size * pixels * 3 * OUTPUT_COPIES
        return FLOAT_BYTES * (max(sampling, decoding) + outputs)


def check_memory(size: CallSize, grid: LatentGrid, device: torch.device) -> None:
    """Raise ValueError, naming what would fit, if the call needs more memory than is free on `device`."""
    free = free_bytes(device)
    needed = size.bytes_needed(grid)
    if free is None or needed <= free:
        return
    share = free / needed
    frames = _largest_legal(size.num_frames * share, grid.time_compression) + 1
    side = _largest_legal((size.height * size.width * share) ** 0.5, 2 * grid.space_compression)
    batch = f"a batch of {int(size.batch_size * share)}, " if size.batch_size * share >= 1 < size.batch_size else ""
    raise ValueError(
        f"num_frames={size.num_frames}, height={size.height}, width={size.width} and a batch of {size.batch_size} "
        f"need about {_readable(needed)} of memory; {_readable(free)} are free on {device}. "
        f"What would fit: {batch}num_frames={frames}, or {side} x {side} pixels"
    )


def free_bytes(device: torch.device) -> int | None:
    """Free memory of `device`, within the limit of the container if there is one; None where nobody can tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type != "cpu":
        return None
    known = [value for value in (_available_of_machine(), _available_of_container()) if value is not None]
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


def _largest_legal(value: float, factor: int) -> int:
    return max(int(value) // factor, 1 if factor > 8 else 0) * factor


def _readable(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} PB"
