"""What the gate costs: `decode_clip` against a plain PyAV loop over the same file.

    python tools/bench_gate.py [file ...] [--repeats 100]     (default: a clip made for it, 64 x 64)

The loop decodes all frames to RGB and all samples with one reformatter and one thread, and checks
nothing. The two take turns in one process; times are of work (all threads), not of the clock, and
the ratio is that of the medians, which another load on the machine hardly moves.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from mmdiff.media.clip import Clip
from mmdiff.media.reader import decode_clip


def plain_loop(path: Path) -> None:
    """Decode everything into two arrays."""
    frames, chunks, reformatter = [], [], VideoReformatter()
    with av.open(str(path)) as container:
        streams = [*container.streams.video[:1], *container.streams.audio[:1]]
        for stream in streams:
            stream.codec_context.thread_count = 1
        for packet in container.demux(*streams):
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    chunks.append(frame.to_ndarray())
                else:
                    converted = reformatter.reformat(frame, format="rgb24", threads=1)
                    frames.append(converted.to_ndarray())
    assert frames, f"{path} holds no frames"
    np.stack(frames)
    if chunks:
        np.concatenate(chunks, axis=1)


def gate(path: Path) -> None:
    outcome = decode_clip(path)
    assert isinstance(outcome, Clip), outcome


def seconds_of(decode: Callable[[Path], None], path: Path) -> float:
    start = time.process_time()
    decode(path)
    return time.process_time() - start


def small_clip(path: Path) -> Path:
    frames = torch.randint(0, 256, (33, 8, 8, 3), dtype=torch.uint8).repeat(1, 8, 8, 1)
    wave = 0.5 * torch.sin(2 * math.pi * 440 * torch.arange(33_000) / 16_000)
    Clip(frames, 16, wave[None], 16_000).save(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=100)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for path in arguments.files or [small_clip(Path(folder) / "small.mp4")]:
            gate(path), plain_loop(path)  # what is set up once
            turns = [
                [seconds_of(decode, path) for decode in (gate, plain_loop)]
                for _ in range(arguments.repeats)
            ]
            ours, theirs = (median(column) for column in zip(*turns, strict=True))
            print(
                f"{path.name}: gate {1000 * ours:.2f} ms, loop {1000 * theirs:.2f} ms, "
                f"ratio {ours / theirs:.2f}"
            )


if __name__ == "__main__":
    main()
