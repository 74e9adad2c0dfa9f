"""mmdiff evaluate: measure a model, print the tables, and keep them as JSON and markdown."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from mmdiff.apps.cli import run_call
from mmdiff.apps.loaded_pipeline import (
    guidance_arguments,
    load_pipeline,
    sampled,
    use_schedulers,
)
from mmdiff.media.atomic import check_writable
from mmdiff.values.file_path import FilePath

if TYPE_CHECKING:
    from mmdiff.evaluation.evaluation import Evaluation
    from mmdiff.media.clip import Clip


def main(words: Sequence[str]) -> int:
    """Clips of one's own choose what is measured, unless that is named."""
    has_data = any(word.startswith("data=") for word in words)
    if has_data and not any(word.startswith(("evaluation=", "experiment=")) for word in words):
        words = [*words, "evaluation=own_clips"]
    return run_call("evaluate", evaluate, words)


def evaluate(
    *,
    evaluation: "Evaluation",
    data: Any = None,
    seed: int = 0,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    audio_guidance_scale: float | None = None,
    guidance_rescale: float | None = None,
    frame_consistency_scale: float | None = None,
    modality_scale: float | None = None,
    scheduler: Any = None,
    audio_scheduler: Any = None,
    guidance: Any = None,
    checkpoint: FilePath | None = None,
    device: str = "auto",
    dtype: Literal["fp32", "bf16"] = "fp32",
    batch_size: int = 16,
    output_dir: FilePath = "outputs/evaluate",
) -> int:
    """Make clips, read them, print each table when it is finished; 0 even if a figure is short."""
    from mmdiff.evaluation.evaluation import EvaluationRun
    from mmdiff.evaluation.report import Report
    from mmdiff.media.sidecar import installed_versions

    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder / "evaluation.json")
    scales = {
        "guidance_scale": guidance_scale,
        "audio_guidance_scale": audio_guidance_scale,
        "guidance_rescale": guidance_rescale,
        "frame_consistency_scale": frame_consistency_scale,
        "modality_scale": modality_scale,
    }
    steps = {} if num_inference_steps is None else {"num_inference_steps": num_inference_steps}
    arguments = {**steps, **guidance_arguments(guidance, scales)}
    pipe = load_pipeline(checkpoint, device=device, dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    use_schedulers(pipe, scheduler, audio_scheduler)

    def make(texts: list[str], seeds: list[int], settings: dict[str, Any]) -> list["Clip"]:
        return sampled(pipe, texts, seeds, {**arguments, **settings})

    facts = {
        "checkpoint": "bundled" if checkpoint is None else Path(checkpoint).name,
        "seed": seed,
        "scheduler": type(pipe.scheduler).__name__,
        **{name: str(value) for name, value in arguments.items()},
        "device": pipe.device.type,
        "dtype": dtype,
        "versions": ", ".join(f"{name} {text}" for name, text in installed_versions().items()),
    }
    run = EvaluationRun(
        pipe,
        make,
        seed=seed,
        batch_size=batch_size,
        progress=progress_line(),
        folder=folder,
        arguments=arguments,
        checkpoint=checkpoint,
        data=data,
    )
    began = time.perf_counter()
    console = Console(width=None if sys.stdout.isatty() else 100)
    results: list[Any] = []
    written: tuple[Path, ...] = ()
    for result in evaluation.results(run):
        results.append(result)
        for table in Report(results=(result,)).tables():
            console.print(table)
        minutes = round((time.perf_counter() - began) / 60, 1)
        written = Report(tuple(results), {**facts, "minutes": minutes}).save(folder)
    console.print(f"{(time.perf_counter() - began) / 60:.1f} minutes", highlight=False)
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
