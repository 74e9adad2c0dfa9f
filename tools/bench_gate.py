"""What the gate costs: `decode_clip` against plain PyAV loops over the same files, in one run.

    python tools/bench_gate.py [file ...] [--repeats 5]     (default: a clip made for it, 64 x 64)

`loop` decodes all frames to RGB and all samples with one reformatter and one thread, and checks
nothing; `first loop` is as one would write it first: `frame.to_ndarray(format="rgb24")`. They take
turns; the least time of each counts. Each runs in a fresh process, whose peak of memory over what
it held after a first decode is told. Times are of work (all threads), not of the clock.
"""

import argparse
import math
import multiprocessing
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from mmdiff.media.clip import Clip
from mmdiff.media.reader import decode_clip

WAYS = ("first loop", "loop", "gate")


def plain_loop(path: str, is_first: bool) -> int:
    """Decode everything into two arrays; the number of frames."""
    frames, chunks, reformatter = [], [], VideoReformatter()
    with av.open(path) as container:
        streams = [*container.streams.video[:1], *container.streams.audio[:1]]
        for stream in streams:
            stream.codec_context.thread_count = 1
        for packet in container.demux(*streams):
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    chunks.append(frame.to_ndarray())
                elif is_first:
                    frames.append(frame.to_ndarray(format="rgb24"))
                else:
                    converted = reformatter.reformat(frame, format="rgb24", threads=1)
                    frames.append(converted.to_ndarray())
    sound = np.concatenate(chunks, axis=1) if chunks else None
    return len(np.stack(frames)) + (sound is None)


def run_once(way: str, path: str) -> None:
    outcome = decode_clip(path) if way == "gate" else plain_loop(path, way == "first loop")
    assert isinstance(outcome, (Clip, int)), outcome


def measure(way: str, path: str, count: int) -> tuple[float, float]:
    """Seconds of work of one of `count` decodes, and MiB of the peak over what was held before."""
    torch.set_num_threads(1)
    run_once(way, path)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    held, start = memory("VmRSS"), time.process_time()
    for _ in range(count):
        run_once(way, path)
    return (time.process_time() - start) / count, memory("VmHWM") - held


def memory(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def small_clip(path: Path) -> None:
    frames = torch.randint(0, 256, (33, 8, 8, 3), dtype=torch.uint8).repeat(1, 8, 8, 1)
    wave = 0.5 * torch.sin(2 * math.pi * 440 * torch.arange(33_000) / 16_000)
    Clip(frames, 16, wave[None], 16_000).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small_clip(Path(folder) / "small.mp4")
        print(f"{'file':<24}{'way':<12}{'ms':>10}{'of the loop':>13}{'peak MiB':>10}")
        for path in arguments.files or [Path(folder) / "small.mp4"]:
            count = 20 if path.stat().st_size < 60_000 else 2
            readings: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
            for _ in range(arguments.repeats):
                for way in WAYS:
                    with multiprocessing.get_context("fork").Pool(1) as pool:
                        readings[way].append(pool.apply(measure, (way, str(path), count)))
            best = {
                way: [min(column) for column in zip(*readings[way], strict=True)] for way in WAYS
            }
            for way, (cost, peak) in best.items():
                ratio = cost / best["loop"][0]
                print(f"{path.name:<24}{way:<12}{1000 * cost:>10.2f}{ratio:>13.2f}{peak:>10.1f}")


if __name__ == "__main__":
    main()
