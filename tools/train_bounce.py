"""The whole recipe of the bundled model, each part resumed where it stopped:

    python tools/train_bounce.py --output-dir runs/bounce

video autoencoder -> audio autoencoder -> vocoder -> latent cache -> diffusion -> export
-> evaluation -> model card. Kill it whenever; started again with the same folder it goes on. Words
after `--` go to `mmdiff train` of the diffusion run (`-- trainer=gpu max_steps=20000`).
"""

import argparse
import csv
import os
import platform
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

RUNS = {
    "vae": "bounce/video_autoencoder",
    "audio_vae": "bounce/audio_autoencoder",
    "vocoder": "bounce/vocoder",
    "diffusion": "bounce/diffusion",
    "motion": "bounce/motion",
    "tasks": "bounce/tasks",
    "refinement": "bounce/refinement",
}
PAUSE_SECONDS = 300
"""A longer gap between two log entries is time in which the run did not run."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--output-dir", type=Path, required=True, help="of all runs; the pipeline goes to pipeline/"
    )
    parser.add_argument("--num-clips", type=int, default=10_240, help="clips of the latent cache")
    parser.add_argument("--num-threads", type=int, default=os.cpu_count(), help="of torch")
    parser.add_argument("overrides", nargs="*", help="of the diffusion run, after --")
    arguments = parser.parse_args()
    folder = arguments.output_dir.resolve()
    threads = f"num_threads={arguments.num_threads}"
    for name in ("vae", "audio_vae", "vocoder"):
        train(folder, name, [threads])
    vae, audio_vae = (folder / name / "components" / name for name in ("vae", "audio_vae"))
    cache = folder / "cache"
    mmdiff(
        "encode",
        f"vae={vae}",
        f"audio_vae={audio_vae}",
        f"folder={cache}",
        f"dataset.num_clips={arguments.num_clips}",
        f"output_dir={folder / 'encode'}",
    )
    on_cache = [threads, f"data.dataset.folder={cache}", *arguments.overrides]
    train(folder, "diffusion", on_cache)
    for earlier, later in pairwise(("diffusion", "motion", "tasks", "refinement")):
        started_from = folder / earlier / "components"
        train(folder, later, [f"backbone.folder={started_from}", *on_cache])
    pipeline = folder / "pipeline"
    runs = [f"{name}_run={folder / name}" for name in ("vae", "audio_vae", "vocoder")]
    runs.append(f"diffusion_run={folder / 'refinement'}")
    sampling = (
        "scheduler.shift=4.0",
        "default_num_inference_steps=20",
        "default_guidance_scale=3.5",
    )
    mmdiff("export", *runs, *sampling, f"output_dir={pipeline}", "overwrite=true")
    mmdiff("evaluate", f"checkpoint={pipeline}", f"output_dir={folder / 'evaluation'}")
    (pipeline / "README.md").write_text(model_card(folder), encoding="utf-8")
    return 0


def mmdiff(*words: str) -> None:
    """Run a verb and stop the recipe if it fails."""
    subprocess.run([sys.executable, "-m", "mmdiff", *words], check=True)


def train(folder: Path, name: str, overrides: list[str]) -> None:
    if not (folder / name / "components").is_dir():
        mmdiff("train", f"experiment={RUNS[name]}", f"output_dir={folder / name}", *overrides)


def model_card(folder: Path) -> str:
    """What was trained, on what, for how long, with which losses, and how good it is."""
    lines = [
        "---",
        "library_name: diffusers",
        "license: apache-2.0",
        "pipeline_tag: text-to-video",
        "tags: [text-to-video, text-to-audio-video, mmdiff]",
        "---",
        "",
        "# bounce: the bundled model of mmdiff",
        "",
        "Short clips of one bouncing object, with a sound at each impact, from a caption. "
        "Trained from scratch by mmdiff on",
        "clips that `mmdiff.bounce` draws by formula; no other data. "
        "Made by `python tools/train_bounce.py`.",
        "",
        f"Machine: {machine()}.",
        "",
        "| part | steps | minutes | samples/s, median | losses, mean of the last tenth |",
        "|---|---|---|---|---|",
        *[training_row(folder, name) for name in RUNS],
        "",
        (folder / "evaluation" / "evaluation.md").read_text(encoding="utf-8"),
    ]
    return "\n".join(lines)


def training_row(folder: Path, name: str) -> str:
    rows = metrics(folder / name)
    tail = rows[-max(1, len(rows) // 10) :]
    losses = sorted({key for row in tail for key in row if key.startswith("train/")})
    means = ", ".join(f"{key.removeprefix('train/')} {mean(tail, key):.4g}" for key in losses)
    speeds = sorted(
        row["speed/samples_per_second"] for row in rows if "speed/samples_per_second" in row
    )
    speed = f"{speeds[len(speeds) // 2]:.1f}" if speeds else "?"
    steps, spent = int(rows[-1]["step"]) + 1, minutes(folder / name)
    return f"| {name} | {steps} | {spent:.0f} | {speed} | {means} |"


def metrics(run: Path) -> list[dict[str, float]]:
    """All logged rows of a run, of its resumed parts too, in the order of steps."""
    rows: dict[int, dict[str, float]] = {}
    for path in sorted(run.glob("metrics/**/metrics.csv"), key=lambda path: path.stat().st_mtime):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                values = {key: float(value) for key, value in row.items() if value}
                rows.setdefault(int(values["step"]), {}).update(values)
    return [rows[step] for step in sorted(rows)]


def mean(rows: list[dict[str, float]], key: str) -> float:
    values = [row[key] for row in rows if key in row]
    return sum(values) / len(values)


def minutes(run: Path) -> float:
    """Time spent training, from the times of the log entries;
    pauses between resumed parts are not counted."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    total = 0.0
    for path in sorted(run.rglob("events.out.tfevents.*")):
        events = EventAccumulator(str(path))
        events.Reload()
        times = sorted(
            {event.wall_time for tag in events.Tags()["scalars"] for event in events.Scalars(tag)}
        )
        gaps = [later - earlier for earlier, later in pairwise(times)]
        total += sum(gap for gap in gaps if gap < PAUSE_SECONDS)
    return total / 60


def machine() -> str:
    import torch

    names = [line.split(":")[1].strip() for line in cpu_info() if line.startswith("model name")]
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    parts = [f"{len(names) or os.cpu_count()} x {names[0] if names else platform.processor()}"]
    parts += gpus or ["no GPU"]
    return ", ".join([*parts, f"torch {torch.__version__}", f"Python {platform.python_version()}"])


def cpu_info() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


if __name__ == "__main__":
    sys.exit(main())
