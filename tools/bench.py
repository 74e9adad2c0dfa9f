"""Timings of the README, measured again:

    python tools/bench.py [import] [generate] [sample] [autoencoder] [encode] [train]

(default: all). Prints one line per figure: what, the median and the range of several runs, and what
it may cost at most, where a bound was promised. Every run of `import`, `generate` and `encode` is a
fresh process, as a user starts it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmdiff.data.batch import LatentBatch

ROWS, CLIPS = 32, 200
PROMPT = (
    "a small red circle bouncing left and right quickly on a black background, "
    "a high ping at each bounce"
)


@dataclass(frozen=True)
class Timing:
    """Seconds of several runs of one thing, and the bound promised for it."""

    name: str
    seconds: tuple[float, ...]
    bound: float | None = None

    def __str__(self) -> str:
        low, middle, high = (f(self.seconds) for f in (min, statistics.median, max))
        promise = "" if self.bound is None else f"  bound {self.bound:g} s"
        return f"{self.name:<52} {middle:8.3f} s  ({low:.3f} to {high:.3f}){promise}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", default=list(BENCHES), choices=[*BENCHES, []])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="keep the figures in this file too")
    arguments = parser.parse_args()
    timings = []
    for name in arguments.what:
        for timing in BENCHES[name](arguments.runs):
            print(timing, flush=True)
            timings.append(timing)
    if arguments.json:
        rows = [{"name": t.name, "seconds": t.seconds, "bound": t.bound} for t in timings]
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


def bench_import(runs: int) -> list[Timing]:
    command = [sys.executable, "-c", "import mmdiff"]
    bare = repeated(lambda: run([sys.executable, "-c", "pass"]), runs)
    whole = repeated(lambda: run(command), runs)
    start = statistics.median(bare)
    return [Timing("import mmdiff, beyond a bare Python", tuple(s - start for s in whole), 0.5)]


def bench_generate(runs: int) -> list[Timing]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mmdiff", "generate", f"prompt={PROMPT}"]
        command += [f"output={folder}/clip.mp4", f"output_dir={folder}"]
        seconds = repeated(lambda: run(command), runs)
        return [Timing("mmdiff generate, one clip, fresh process", seconds, 15)]


def bench_sample(runs: int) -> list[Timing]:
    import torch

    from mmdiff import MMDiffPipeline

    pipe = MMDiffPipeline.from_pretrained()
    pipe.set_progress_bar_config(disable=True)

    def call(batch: int) -> None:
        pipe([PROMPT] * batch, generator=[torch.Generator().manual_seed(i) for i in range(batch)])

    call(1)
    return [
        Timing("sampling and decoding one clip", repeated(lambda: call(1), runs), 5),
        Timing("sampling and decoding eight clips in one batch", repeated(lambda: call(8), runs)),
    ]


def bench_autoencoder(runs: int) -> list[Timing]:
    import torch

    from mmdiff import MMDiffPipeline

    vae = MMDiffPipeline.from_pretrained().vae
    frames = torch.zeros(1, 3, 33, 64, 64)
    with torch.no_grad():
        latents = vae.encode(frames).mode()
        return [
            Timing("encode 33 x 64 x 64", repeated(lambda: vae.encode(frames), runs)),
            Timing("decode 33 x 64 x 64", repeated(lambda: vae.decode(latents), runs)),
        ]


def bench_encode(runs: int) -> list[Timing]:
    """From mp4 files to a latent cache, start included: one worker reads, one process encodes."""
    from write_bounce import write_bounce

    with tempfile.TemporaryDirectory() as folder:
        write_bounce(Path(folder) / "clips", num_clips=CLIPS)
        command = [sys.executable, "-m", "mmdiff", "encode", "data=folder"]
        command += [f"data.root={folder}/clips", f"output_dir={folder}"]
        caches = (f"folder={folder}/cache{number}" for number in count())
        seconds = repeated(lambda: run([*command, next(caches)]), runs)
    return [Timing(f"mmdiff encode, each of {CLIPS} clips", tuple(s / CLIPS for s in seconds))]


def bench_train(runs: int) -> list[Timing]:
    """One optimizer step of the bundled model's recipe, on one batch again and again, and on ever
    new ones from a latent cache: the loader may add 3 %."""
    with tempfile.TemporaryDirectory() as folder:
        step, batches = training_step(), cached_batches(Path(folder))
        repeated_batch = next(batches)
        step(repeated_batch)
        same, new = [], []
        for _ in range(runs):  # in turns: what else the machine does meets both
            same += repeated(lambda: step(repeated_batch), 1)
            new += repeated(lambda: step(next(batches)), 1)
        reading = repeated(lambda: next(batches), runs)
    return [
        Timing(f"training step of {ROWS} clips, transformer alone", tuple(same)),
        Timing("the same, from a latent cache", tuple(new), 1.03 * statistics.median(same)),
        Timing(f"reading {ROWS} clips of the cache", reading),
    ]


def training_step() -> Callable[[LatentBatch], None]:
    import torch

    from mmdiff import ClipLatents, Context, MMDiffPipeline
    from mmdiff.training.optimizers import MuonAdamW

    model = MMDiffPipeline.from_pretrained().transformer.train()
    optimizer = MuonAdamW(model.named_parameters())
    time_ = ClipLatents(torch.rand(ROWS, 1, 1, 1, 1), torch.rand(ROWS, 1, 1, 1))
    tokens = torch.randn(ROWS, 24, model.config.text_dim)
    context = Context(tokens, torch.ones(ROWS, 24, dtype=torch.bool))

    def step(batch: LatentBatch) -> None:
        optimizer.zero_grad()
        prediction = model(batch.latents.to(torch.float32), time_, context)
        sum(half.square().mean() for half in (prediction.video, prediction.audio)).backward()
        optimizer.step()

    return step


def cached_batches(folder: Path) -> Iterator[LatentBatch]:
    """Of clips of the bounce world, encoded into `folder`."""
    from mmdiff.data.datamodule import DataModule
    from mmdiff.data.latent_clips import LatentClips

    words = [f"folder={folder / 'cache'}", f"dataset.num_clips={8 * ROWS}"]
    run([sys.executable, "-m", "mmdiff", "encode", *words, f"output_dir={folder}"])
    clips = LatentClips(str(folder / "cache"))
    return iter(DataModule(clips, ROWS, seed=0).train_dataloader())


def repeated(action: Callable[[], object], runs: int) -> tuple[float, ...]:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return tuple(seconds)


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


BENCHES = {
    "import": bench_import,
    "generate": bench_generate,
    "sample": bench_sample,
    "autoencoder": bench_autoencoder,
    "encode": bench_encode,
    "train": bench_train,
}

if __name__ == "__main__":
    sys.exit(main())
