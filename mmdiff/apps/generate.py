"""mmdiff generate: clips with sound from prompts."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from mmdiff.apps.cli import run_call
from mmdiff.apps.clip_jobs import ClipJob, check_range, clip_jobs, targets_of
from mmdiff.apps.loaded_pipeline import (
    announce_unknown_words,
    guidance_arguments,
    load_pipeline,
    sampled,
    use_schedulers,
)
from mmdiff.apps.prompts import columns_of_prompts, prompt_rows
from mmdiff.apps.schema import annotations
from mmdiff.apps.terminal import announce, announce_libraries, quieten_libraries
from mmdiff.media.atomic import check_writable, made_folder, write_files
from mmdiff.media.suffixes import PICTURE_SUFFIXES, STILL_SUFFIXES
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError

if TYPE_CHECKING:
    from mmdiff.media.clip import Clip

FILES = ("image", "video", "audio")
SCALES = (
    *("guidance_scale", "audio_guidance_scale", "guidance_rescale"),
    *("frame_consistency_scale", "modality_scale"),
)


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
) -> int:
    """Make one clip a prompt (or `num_clips`), and write each with its storyboard and sidecar.

    What is said of one clip may be said in the row of its prompt instead.
    """
    common = {
        "negative_prompt": negative_prompt,
        **{"num_frames": num_frames, "height": height, "width": width},
        "num_inference_steps": num_inference_steps,
        **{"image": image, "video": video, "audio": audio},
        "guidance_scale": guidance_scale,
        "audio_guidance_scale": audio_guidance_scale,
        "guidance_rescale": guidance_rescale,
        "frame_consistency_scale": frame_consistency_scale,
        "modality_scale": modality_scale,
    }

    given = {"condition": condition, "conditions": conditions}
    arguments_of = partial(_arguments, guidance=guidance, modalities=modalities, given=given)
    check_range("batch_size", batch_size, 1, 4096)
    if prompt is None and prompts is None and _need_no_prompt(arguments_of(common)):
        prompt = ""
    rows = prompt_rows(prompt, prompts, columns=columns_of_prompts(annotations(generate)))
    jobs = clip_jobs(rows, common, seed=seed, num_clips=num_clips)
    suffixes = [
        checked_suffix(job.output or output, modalities, job.settings["num_frames"]) for job in jobs
    ]
    targets = targets_of(jobs, suffixes, output=output, output_dir=output_dir)
    _check_targets(targets, folder=Path(output_dir), overwrite=overwrite)
    batches = []
    for settings, group in groupby(range(len(jobs)), lambda i: jobs[i].settings):
        alike, arguments = list(group), arguments_of(settings)
        parts = (alike[i : i + batch_size] for i in range(0, len(alike), batch_size))
        batches += [(part, arguments) for part in parts]
    announce_libraries()
    pipe = load_pipeline(checkpoint, device=device)
    use_schedulers(pipe, scheduler, audio_scheduler)
    announce_unknown_words(pipe.tokenizer, [job.prompt for job in jobs])
    for indices, arguments in batches:
        if len(batches) > 1:
            announce(f"clips {indices[0] + 1} to {indices[-1] + 1} of {len(jobs)}")
        began = time.perf_counter()
        texts, seeds = [jobs[i].prompt for i in indices], [jobs[i].seed for i in indices]
        clips = sampled(pipe, texts, seeds, arguments)
        seconds = (time.perf_counter() - began) / len(clips)
        facts = described(pipe, arguments, checkpoint)
        for i, clip in zip(indices, clips, strict=True):
            caption = _caption(jobs[i].prompt, arguments)
            write_clip_files(clip, targets[i], jobs[i], facts, caption=caption, overwrite=overwrite)
            _show_written(targets[i], f"{clip}, seed {jobs[i].seed}, {seconds:.1f} s")
    return 0


def _arguments(
    settings: Mapping[str, Any], *, guidance: Any, modalities: Any, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Of the call that makes a clip of these settings.

    given: `condition` and `conditions`, which come before those of the files in the settings.
    """
    files = {name: settings[name] for name in FILES}
    values = {
        **{name: one for name, one in settings.items() if name not in (*FILES, *SCALES)},
        "modalities": modalities,
        **guidance_arguments(guidance, {name: settings[name] for name in SCALES}),
    }
    if any(one is not None for one in (*given.values(), *files.values())):
        announce_libraries()
        quieten_libraries()  # reading what is given may warn
        from mmdiff.apps.chosen_conditions import chosen_conditions

        values["conditions"] = chosen_conditions(**given, files=files) or None
    return {name: one for name, one in values.items() if one is not None}


def _need_no_prompt(arguments: Mapping[str, Any]) -> bool:
    if "conditions" not in arguments:
        return False
    from mmdiff.apps.chosen_conditions import is_whole_modality_given

    return is_whole_modality_given(arguments["conditions"])


def _caption(prompt: str, arguments: Mapping[str, Any]) -> str:
    """Above the storyboard: the prompt, and behind it what was given."""
    if "conditions" not in arguments:
        return prompt
    from mmdiff.apps.chosen_conditions import noted

    return f"{prompt} [{noted(arguments['conditions'])}]".strip()


def write_clip_files(
    clip: "Clip", path: Path, job: ClipJob, facts: dict[str, Any], *, caption: str, overwrite: bool
) -> None:
    """The clip, its storyboard and its sidecar, all or none."""
    from mmdiff.media.sidecar import clip_comment, encode_sidecar
    from mmdiff.media.storyboard import encode_storyboard
    from mmdiff.media.writer import encode_clip

    # Not the name of the folder: a pipeline that was saved and loaded again writes the same file.
    inside = {name: value for name, value in facts.items() if name != "checkpoint"}
    made_of: dict[str, Any] = {"prompt": job.prompt, "seed": job.seed}
    comment = clip_comment(**made_of, settings=inside)
    files = {
        path: encode_clip(clip, path.suffix.lower(), comment=comment),
        storyboard_path(path): encode_storyboard(clip, caption=caption),
        path.with_suffix(".json"): encode_sidecar(path, **made_of, settings=facts),
    }
    with made_folder(path.parent):
        write_files(files, overwrite=overwrite)


def _show_written(path: Path, about: str) -> None:
    console = Console(soft_wrap=True)
    console.print(f"{path}  {about}", markup=False, highlight=False)
    for other in (storyboard_path(path), path.with_suffix(".json")):
        console.print(f"  {other}", markup=False, highlight=False, style="dim")


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
    output: str | Path | None, modalities: Sequence[str] | None, num_frames: int | None
) -> str:
    """The suffix for what is made; UsageError when `output` cannot hold it."""
    possible = [".wav"]
    if modalities is None or "video" in modalities:
        is_still = num_frames == 1
        possible = sorted(PICTURE_SUFFIXES, key=lambda one: is_still and one not in STILL_SUFFIXES)
    suffix = Path(output).suffix.lower() if output is not None else possible[0]
    if suffix not in possible:
        made = "audio alone" if possible == [".wav"] else "video"
        raise UsageError(
            f"output={output} ends in {suffix or 'nothing'}; {made} is written as "
            f"{', '.join(possible)}",
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
        if not (is_new and target.parent == folder):
            for path in (target, storyboard_path(target), target.with_suffix(".json")):
                check_writable(path, overwrite=overwrite)
