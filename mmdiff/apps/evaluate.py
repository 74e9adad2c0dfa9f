"""mmdiff evaluate: measure a model, print the tables, and keep them as JSON and markdown."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from mmdiff.apps.generate import chosen_guidance, load_pipeline, sampled
from mmdiff.apps.run import run_call
from mmdiff.media.atomic import check_writable

if TYPE_CHECKING:
    from mmdiff.apps.bounce_evaluation import BounceEvaluation
    from mmdiff.media.clip import Clip


def main(words: Sequence[str]) -> int:
    return run_call("evaluate", evaluate, words)


def evaluate(
    *,
    evaluation: "BounceEvaluation",
    seed: int = 0,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    audio_guidance_scale: float | None = None,
    guidance_rescale: float | None = None,
    scheduler: Any = None,
    audio_scheduler: Any = None,
    guidance: Any = None,
    checkpoint: str | None = None,
    device: str = "auto",
    batch_size: int = 16,
    output_dir: str = "outputs/evaluate",
    paths: dict[str, str] | None = None,
) -> int:
    """Make clips, read them, print each table when it is finished; 0 even if a figure is short."""
    from mmdiff.evaluation.report import Report
    from mmdiff.media.sidecar import installed_versions

    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "evaluation.json")
    scales = {
        "guidance_scale": guidance_scale,
        "audio_guidance_scale": audio_guidance_scale,
        "guidance_rescale": guidance_rescale,
    }
    named = {
        "num_inference_steps": num_inference_steps,
        **scales,
        "guidance": chosen_guidance(guidance, **scales),
    }
    arguments = {name: value for name, value in named.items() if value is not None}
    pipe = load_pipeline(checkpoint, device=device)
    pipe.set_progress_bar_config(disable=True)
    if scheduler is not None:
        pipe.scheduler = scheduler
    if audio_scheduler is not None:
        pipe.audio_scheduler = audio_scheduler

    def make(texts: list[str], seeds: list[int], sizes: dict[str, int]) -> list["Clip"]:
        return sampled(pipe, texts, seeds, {**arguments, **sizes})

    began = time.perf_counter()
    settings = {
        "checkpoint": "bundled" if checkpoint is None else Path(checkpoint).name,
        "seed": seed,
        "scheduler": type(pipe.scheduler).__name__,
        **{name: str(value) for name, value in arguments.items()},
        "device": pipe.device.type,
        "versions": ", ".join(f"{name} {text}" for name, text in installed_versions().items()),
    }
    console = Console(width=None if sys.stdout.isatty() else 100)
    results: list[Any] = []
    written: tuple[Path, ...] = ()
    for result in evaluation.results(
        pipe, make, seed=seed, batch_size=batch_size, progress=progress_line()
    ):
        results.append(result)
        report = Report(results=(result,))
        for table in report.tables():
            console.print(table)
        minutes = (time.perf_counter() - began) / 60
        report = Report(tuple(results), {**settings, "minutes": round(minutes, 1)})
        written = report.save(folder)
    console.print(*written, sep="\n", markup=False, highlight=False)
    return 0


def progress_line() -> Any:
    """Counts on standard error: rewritten in place on a terminal, silent elsewhere."""
    console = Console(stderr=True)

    def show(name: str, done: int, total: int) -> None:
        if console.is_terminal:
            end = "\n" if done == total else "\r"
            console.print(f"{name}: {done} of {total}", end=end, highlight=False)

    return show
