"""mmdiff export: training runs -> a pipeline folder that `generate` and `from_pretrained` load."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_type_hints

from rich.console import Console

from mmdiff.apps.cli import run_call
from mmdiff.apps.next_step import after_export, show_next
from mmdiff.apps.run_folder import (
    component_folders,
    latents_trained_on,
    run_configuration,
    shape_trained_on,
    trained_for,
)
from mmdiff.apps.terminal import announce_libraries, log_to_terminal
from mmdiff.media.atomic import share
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError


def main(words: Sequence[str]) -> int:
    return run_call("export", export, words)


def export(
    *,
    vae_run: FilePath,
    audio_vae_run: FilePath,
    vocoder_run: FilePath,
    diffusion_run: FilePath,
    scheduler: Any,
    audio_scheduler: Any = None,
    frame_rate: float = 16.0,
    default_num_frames: int | None = None,
    default_height: int | None = None,
    default_width: int | None = None,
    default_num_inference_steps: int = 30,
    default_guidance_scale: float = 4.0,
    default_audio_guidance_scale: float | None = None,
    default_guidance_rescale: float = 0.0,
    default_frame_consistency_scale: float = 0.0,
    default_modality_scale: float = 0.0,
    dtype: Literal["bfloat16", "float32"] = "bfloat16",
    overwrite: bool = False,
    check_latents: bool = True,
    output_dir: FilePath,
    trust_modules: list[str] | None = None,
) -> int:
    """Collect the components of four runs, write them as one pipeline, print its size."""
    log_to_terminal()
    target = Path(output_dir)
    check_target(target, overwrite=overwrite)
    announce_libraries()
    target.parent.mkdir(parents=True, exist_ok=True)
    trained = run_configuration(Path(diffusion_run))
    shape = {"num_frames": 33, "height": 64, "width": 64, **shape_trained_on(trained)}
    asked = {"num_frames": default_num_frames, "height": default_height, "width": default_width}
    facts = {
        "frame_rate": frame_rate,
        **{f"default_{name}": asked[name] or size for name, size in shape.items()},
        "default_num_inference_steps": default_num_inference_steps,
        "default_guidance_scale": default_guidance_scale,
        "default_audio_guidance_scale": default_audio_guidance_scale,
        "default_guidance_rescale": default_guidance_rescale,
        "default_frame_consistency_scale": default_frame_consistency_scale,
        "default_modality_scale": default_modality_scale,
        **trained_for(trained),
    }
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        workspace = Path(folder)
        runs = {
            "vae_run": (vae_run, ("vae",)),
            "audio_vae_run": (audio_vae_run, ("audio_vae",)),
            "vocoder_run": (vocoder_run, ("vocoder",)),
            "diffusion_run": (diffusion_run, ("transformer", "text_encoder", "tokenizer")),
        }
        folders: dict[str, Path] = {}
        for key, (run, names) in runs.items():
            folders |= component_folders(
                Path(run),
                names,
                key=key,
                workspace=workspace / "parts",
                trusted=trust_modules or (),
            )
        if check_latents:
            _check_latents(folders, latents_trained_on(trained), diffusion_run)
        finished = workspace / "pipeline"
        _save(folders, finished, dtype, scheduler, audio_scheduler, facts)
        _publish(finished, target)
    console = Console(soft_wrap=True)
    console.print(f"{target}  {megabytes(target):.1f} MB", markup=False, highlight=False)
    for part in sorted(path for path in target.iterdir() if path.is_dir()):
        line = f"  {part.name:<14} {megabytes(part):6.2f} MB"
        console.print(line, markup=False, highlight=False, style="dim")
    show_next(after_export(output_dir, diffusion_run))
    return 0


def _check_latents(folders: dict[str, Path], digests: dict[str, str], diffusion_run: str) -> None:
    """UsageError where the transformer has learned the latents of other autoencoders: all it makes
    would be decoded wrongly."""
    from mmdiff.data.latent_cache import component_digest

    for name, digest in digests.items():
        if component_digest(folders[name]) != digest:
            raise UsageError(
                f"diffusion_run={diffusion_run} was trained on latents of another {name} than that "
                f"in {folders[name]}",
                hint=f"{name}_run=RUN of the {name} that the latents were encoded with; "
                "check_latents=false if it is the same one, saved anew",
            )


def _save(
    folders: dict[str, Path],
    target: Path,
    dtype: str,
    scheduler: Any,
    audio_scheduler: Any,
    facts: dict[str, Any],
) -> None:
    import torch
    from diffusers.utils import logging as diffusers_logging

    from mmdiff.pipelines.pipeline import MMDiffPipeline

    diffusers_logging.set_verbosity_error()  # `to` tells what loading keeps in fp32
    loaded = {name: load_component(name, folder) for name, folder in folders.items()}
    kept = getattr(torch, dtype)
    for component in loaded.values():
        if isinstance(component, torch.nn.Module):
            component.to(kept)
    pipe = MMDiffPipeline(**loaded, scheduler=scheduler, audio_scheduler=audio_scheduler, **facts)
    pipe.save_pretrained(str(target), safe_serialization=True)
    MMDiffPipeline.from_pretrained(target)  # through the strict loader: what is written can be read


def load_component(name: str, folder: Path) -> Any:
    """One component by the class that the constructor of the pipeline names for it."""
    from mmdiff.loading.component import saved_component
    from mmdiff.pipelines.pipeline import MMDiffPipeline
    from mmdiff.text.pretrained import encoder_class, saved_tokenizer

    if name == "tokenizer":
        return saved_tokenizer(folder)
    if name == "text_encoder":
        return saved_component(encoder_class(folder), folder)
    return saved_component(get_type_hints(MMDiffPipeline.__init__)[name], folder)


def check_target(target: Path, *, overwrite: bool) -> None:
    """UsageError where a folder is in the way; only a pipeline folder is ever replaced."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / "model_index.json").is_file():
        raise UsageError(
            f"output_dir={target} is there, and is no pipeline folder: it is not replaced",
            hint="give a new folder",
        )
    if not overwrite:
        raise UsageError(f"output_dir={target} is there already", hint="overwrite=true")


def _publish(finished: Path, target: Path) -> None:
    old = finished.with_name("old")
    if target.exists():
        os.replace(target, old)
    share(finished)
    os.replace(finished, target)
    shutil.rmtree(old, ignore_errors=True)


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
