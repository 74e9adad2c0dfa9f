"""Timings of the README, measured again:

    python tools/bench.py [import] [generate] [sample] [autoencoder] [train]   (default: all)

Prints one line per figure: what, the median and the range of several runs, and what it may cost at
most, where a bound was promised. Every run of `import` and `generate` is a fresh process, as a user
starts it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


def bench_train(runs: int) -> list[Timing]:
    """One optimizer step of the bundled model's recipe, on latents of noise."""
    import torch

    from mmdiff import ClipLatents, Context, MMDiffPipeline
    from mmdiff.training.optimizers import MuonAdamW

    model = MMDiffPipeline.from_pretrained().transformer.train()
    optimizer = MuonAdamW(model.named_parameters())
    rows = 32
    latents = ClipLatents(torch.randn(rows, 16, 9, 8, 8), torch.randn(rows, 8, 36, 16))
    time_ = ClipLatents(torch.rand(rows, 1, 1, 1, 1), torch.rand(rows, 1, 1, 1))
    tokens = torch.randn(rows, 24, model.config.text_dim)
    context = Context(tokens, torch.ones(rows, 24, dtype=torch.bool))

    def step() -> None:
        optimizer.zero_grad()
        prediction = model(latents, time_, context)
        sum(half.square().mean() for half in (prediction.video, prediction.audio)).backward()
        optimizer.step()

    step()
    return [Timing("training step of 32 clips, transformer alone", repeated(step, runs))]


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
    "train": bench_train,
}

if __name__ == "__main__":
    sys.exit(main())
