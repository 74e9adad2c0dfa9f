"""What worker processes of the tests do: decode files, and tell what came out and what it cost."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Rejection


@dataclass(frozen=True)
class Cost:
    """Of decoding one file: what became of it, seconds of work, bytes of memory at most."""

    outcome: str
    seconds: float
    peak_growth: int


def fingerprint(path: Path) -> str:
    """Equal for equal clips, or equal refusals."""
    outcome = decode_clip(path)
    if isinstance(outcome, Rejection):
        return outcome.message
    digest = hashlib.sha256(str((outcome.shape, outcome.fps, outcome.sample_rate)).encode())
    for part in (outcome.frames, outcome.waveform):
        digest.update(b"" if part is None else part.numpy().tobytes())
    return digest.hexdigest()


def resident_bytes(field: str = "VmRSS") -> int:
    """Of this process: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def decode_many(paths: list[Path], count: int) -> tuple[int, int]:
    """Bytes of memory after the first quarter of `count` decodes, and after all."""
    early = 0
    for number in range(count):
        decode_clip(paths[number % len(paths)])
        if number == count // 4:
            early = resident_bytes()
    return early, resident_bytes()


def cost_of(paths: list[Path]) -> list[Cost]:
    """For each, against the memory of a process that has decoded the first before."""
    decode_clip(paths[0])
    costs = []
    for path in paths:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before, start = resident_bytes(), time.process_time()
        outcome = decode_clip(path)
        seconds = time.process_time() - start  # of work: others may share the machine
        reason = outcome.reason.value if isinstance(outcome, Rejection) else "accepted"
        costs.append(Cost(reason, seconds, resident_bytes("VmHWM") - before))
    return costs


def fingerprint_then_leave(path: str, answer: str) -> None:
    """For a forked child: writes the fingerprint and ends without cleaning up after the parent."""
    Path(answer).write_text(fingerprint(Path(path)))
    os._exit(0)
