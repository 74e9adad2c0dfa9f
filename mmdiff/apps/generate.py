"""mmdiff generate: clips with sound from prompts."""

import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from mmdiff.apps.clip_jobs import check_range, clip_jobs, columns_of_prompts, targets_of
from mmdiff.apps.device import chosen_device
from mmdiff.apps.guidance_arguments import guidance_arguments
from mmdiff.apps.prompt_list import prompt_rows
from mmdiff.apps.run import run_call
from mmdiff.apps.signature import annotations
from mmdiff.apps.terminal import (
    announce,
    announce_libraries,
    quick_imports,
    quieten_libraries,
)
from mmdiff.media.atomic import check_writable, made_folder, write_files
from mmdiff.media.suffixes import PICTURE_SUFFIXES, STILL_SUFFIXES
from mmdiff.values.file_path import FilePath
from mmdiff.values.progress import bar_arguments
from mmdiff.values.usage_error import UsageError

if TYPE_CHECKING:
    from mmdiff.media.clip import Clip
    from mmdiff.pipelines.pipeline import MMDiffPipeline

FILES = ("image", "video", "audio")
MOST_WORDS = 8
DTYPES = {"fp32": "float32", "bf16": "bfloat16"}


def main(words: Sequence[str]) -> int:
    return run_call("generate", generate, words)


def generate(
    *,
    prompt: str | None = None,
    prompts: FilePath | None = None,
    negative_prompt: str | None = None,
    seed: int = 0,
    num_clips: int = 1,
    modalities: list[Literal["video", "audio"]] | None = None,
    num_frames: int | None = None,
    height: int | None = None,
    width: int | None = None,
    num_inference_steps: int | None = None,
    guidance_scale: float | None = None,
    audio_guidance_scale: float | None = None,
    guidance_rescale: float | None = None,
    frame_consistency_scale: float | None = None,
    modality_scale: float | None = None,
    scheduler: Any = None,
    audio_scheduler: Any = None,
    guidance: Any = None,
    condition: Any = None,
    conditions: list[Any] | None = None,
    image: FilePath | None = None,
    video: FilePath | None = None,
    audio: FilePath | None = None,
    checkpoint: FilePath | None = None,
    device: str = "auto",
    batch_size: int = 8,
    output: FilePath | None = None,
    overwrite: bool = True,
    output_dir: FilePath = "outputs/generate",
    paths: dict[str, FilePath] | None = None,
) -> int:
    """Make one clip a prompt (or `num_clips`), and write each with its storyboard and sidecar.

    What is said of one clip may be said in the row of its prompt instead.
    """
    console = Console(soft_wrap=True)
    check_range("batch_size", batch_size, 1, 4096)
    scales = {
        "guidance_scale": guidance_scale,
        "audio_guidance_scale": audio_guidance_scale,
        "guidance_rescale": guidance_rescale,
        "frame_consistency_scale": frame_consistency_scale,
        "modality_scale": modality_scale,
    }
    common = {
        "negative_prompt": negative_prompt,
        "num_frames": num_frames,
        "height": height,
        "width": width,
        "num_inference_steps": num_inference_steps,
        **scales,
        **{"image": image, "video": video, "audio": audio},
    }

    def arguments_of(settings: Mapping[str, Any]) -> tuple[dict[str, Any], str, bool]:
        """Those of the call, a note of what is given, and whether that is a whole modality."""
        values = {name: value for name, value in settings.items() if name not in FILES}
        named = {name: values.pop(name) for name in scales}
        values |= {"modalities": modalities, **guidance_arguments(guidance, named)}
        files = {name: settings[name] for name in FILES}
        note, is_whole = "", False
        if any(one is not None for one in (condition, conditions, *files.values())):
            announce_libraries()
            quieten_libraries()  # reading what is given may warn
            from mmdiff.apps.chosen_conditions import brings_a_half, chosen_conditions, noted

            given = chosen_conditions(condition, conditions, **files)
            values["conditions"], note, is_whole = given or None, noted(given), brings_a_half(given)
        return {key: one for key, one in values.items() if one is not None}, note, is_whole

    if prompt is None and prompts is None and arguments_of(common)[2]:
        prompt = ""
    rows = prompt_rows(prompt, prompts, columns=columns_of_prompts(annotations(generate)))
    jobs = clip_jobs(rows, common, seed=seed, num_clips=num_clips)
    wanted = modalities or ["video", "audio"]
    suffixes = [checked_suffix(j.output or output, wanted, j.settings["num_frames"]) for j in jobs]
    targets = targets_of(jobs, suffixes, output=output, output_dir=output_dir)
    _check_targets(targets, folder=Path(output_dir), overwrite=overwrite)
    alike = [list(group) for _, group in groupby(range(len(jobs)), lambda i: jobs[i].settings)]
    prepared = [(group, *arguments_of(jobs[group[0]].settings)[:2]) for group in alike]
    announce_libraries()
    pipe = load_pipeline(checkpoint, device=device)
    warn_of_words(pipe.tokenizer, [job.prompt for job in jobs])
    if scheduler is not None:
        pipe.scheduler = scheduler
    if audio_scheduler is not None:
        pipe.audio_scheduler = audio_scheduler
    batches = [
        (group[first : first + batch_size], arguments, note)
        for group, arguments, note in prepared
        for first in range(0, len(group), batch_size)
    ]
    for indices, arguments, note in batches:
        if len(batches) > 1:
            announce(f"clips {indices[0] + 1} to {indices[-1] + 1} of {len(jobs)}")
        began = time.perf_counter()
        texts, seeds = [jobs[i].prompt for i in indices], [jobs[i].seed for i in indices]
        clips = sampled(pipe, texts, seeds, arguments)
        seconds = (time.perf_counter() - began) / len(clips)
        for i, clip in zip(indices, clips, strict=True):
            written = write_clip_files(
                clip,
                targets[i],
                prompt=jobs[i].prompt,
                seed=jobs[i].seed,
                facts=described(pipe, arguments, checkpoint),
                note=note,
                overwrite=overwrite,
            )
            line = f"{written[0]}  {clip}, seed {jobs[i].seed}, {seconds:.1f} s"
            console.print(line, markup=False, highlight=False)
            for path in written[1:]:
                console.print(f"  {path}", markup=False, highlight=False, style="dim")
    return 0


def load_pipeline(
    checkpoint: str | None, *, device: str, dtype: Literal["fp32", "bf16"] = "fp32"
) -> "MMDiffPipeline":
    """The bundled model (`checkpoint` None) or a pipeline folder, on a device.

    dtype: of the transformer; all else is in fp32.
    """
    announce("loading the bundled model" if checkpoint is None else f"loading {checkpoint}")
    with quick_imports():
        import torch
        from diffusers.utils import logging as diffusers_logging

        from mmdiff.pipelines.pipeline import MMDiffPipeline

    target = chosen_device(device)
    diffusers_logging.disable_progress_bar()
    quieten_libraries()
    precisions = {"transformer": getattr(torch, DTYPES[dtype]), "default": torch.float32}
    pipe = MMDiffPipeline.from_pretrained(checkpoint, dtype=precisions).to(target)
    line = "step {n_fmt} of {total_fmt}, {remaining} left"
    pipe.set_progress_bar_config(**bar_arguments("sampling", line=line))
    return pipe


def warn_of_words(tokenizer: Any, prompts: Sequence[str]) -> None:
    """One line where prompts hold words that the model was not trained on."""
    from mmdiff.text.tokenizer import unknown_words

    words = unknown_words(tokenizer, prompts)
    if words:
        more = f" and {len(words) - MOST_WORDS} more" if len(words) > MOST_WORDS else ""
        announce(f"no training caption holds: {', '.join(words[:MOST_WORDS])}{more}")


def sampled(
    pipe: "MMDiffPipeline", texts: list[str], seeds: list[int], arguments: dict[str, Any]
) -> list["Clip"]:
    """One clip a text; each has its own generator: the same noise alone and in a batch."""
    import torch

    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
    out: Any = pipe(prompt=texts, generator=generators, output_type="pt", **arguments)
    return list(out.clips)


def write_clip_files(
    clip: "Clip",
    path: Path,
    *,
    prompt: str,
    seed: int,
    facts: dict[str, Any],
    note: str = "",
    overwrite: bool,
) -> list[Path]:
    """The clip, its storyboard and its sidecar, all or none; the paths that were written.

    note: of what was given, written above the storyboard behind the prompt.
    """
    from mmdiff.media.sidecar import clip_comment, encode_sidecar
    from mmdiff.media.storyboard import encode_storyboard
    from mmdiff.media.writer import encode_clip

    # Not the name of the folder: a pipeline that was saved and loaded again writes the same file.
    inside = {name: value for name, value in facts.items() if name != "checkpoint"}
    comment = clip_comment(prompt=prompt, seed=seed, settings=inside)
    caption = f"{prompt} [{note}]".strip() if note else prompt
    files = {
        path: encode_clip(clip, path.suffix.lower(), comment=comment),
        storyboard_path(path): encode_storyboard(clip, caption=caption),
        path.with_suffix(".json"): encode_sidecar(path, prompt=prompt, seed=seed, settings=facts),
    }
    with made_folder(path.parent):
        write_files(files, overwrite=overwrite)
    return list(files)


def storyboard_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}.storyboard.png")


def described(pipe: Any, arguments: dict[str, Any], checkpoint: str | None) -> dict[str, Any]:
    """What the sidecar holds beside prompt and seed: enough to make the clip again."""
    objects = ("guidance", "conditions")
    plain = {name: value for name, value in arguments.items() if name not in objects}
    return {
        **plain,
        "conditions": [one.settings() for one in arguments.get("conditions", ())],
        "guidance": [repr(guider) for guider in arguments.get("guidance", ())],
        "scheduler": type(pipe.scheduler).__name__,
        "audio_scheduler": type(pipe.audio_scheduler or pipe.scheduler).__name__,
        "checkpoint": "bundled" if checkpoint is None else Path(checkpoint).name,
        "device": pipe.device.type,
    }


def checked_suffix(
    output: str | Path | None, modalities: Sequence[str], num_frames: int | None
) -> str:
    """The suffix for what is made; UsageError when `output` cannot hold it."""
    if "video" not in modalities:
        possible = [".wav"]
    elif num_frames == 1:
        possible = sorted(PICTURE_SUFFIXES, key=lambda one: one not in STILL_SUFFIXES)
    else:
        possible = list(PICTURE_SUFFIXES)
    suffix = Path(output).suffix.lower() if output is not None else possible[0]
    if suffix not in possible:
        made = "sound alone" if possible == [".wav"] else "a picture"
        raise UsageError(
            f"output ends in {suffix or 'nothing'}; {made} is written as {', '.join(possible)}",
            key="output",
            got=f"output={output}",
            nearest=f"output={Path(output or 'clip').with_suffix(possible[0])}",
        )
    return suffix


def _check_targets(targets: list[Path], *, folder: Path, overwrite: bool) -> None:
    """Raise before any work is done when a file could not be written at its end.

    folder: the one that is made where it is not there yet.
    """
    is_new = not folder.exists()
    if is_new and any(target.parent == folder for target in targets):
        existing = next(parent for parent in folder.absolute().parents if parent.exists())
        check_writable(existing / folder.name, overwrite=overwrite)
    for target in targets:
        if is_new and target.parent == folder:
            continue
        for path in (target, storyboard_path(target), target.with_suffix(".json")):
            check_writable(path, overwrite=overwrite)


READER = generate
