"""mmdiff encode: clips -> autoencoders -> the latent cache that diffusion is trained on.

Several processes share the work where torchrun starts them: torchrun --nproc_per_node=4 -m mmdiff
encode ...
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiff.apps.cli import run_verb
from mmdiff.apps.config import built, check_nodes, save_resolved
from mmdiff.apps.loaded_pipeline import chosen_device
from mmdiff.apps.next_step import after_encode, show_next
from mmdiff.apps.schema import annotations, check_arguments
from mmdiff.apps.targets import Allowed, allowed_for
from mmdiff.apps.terminal import announce_libraries, log_to_terminal
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError

if TYPE_CHECKING:
    from mmdiff.data.clips import CheckedClips


@dataclass(frozen=True)
class Folders:
    """The root keys of `mmdiff encode` that hold a path."""

    vae: FilePath
    audio_vae: FilePath
    folder: FilePath
    text_folder: FilePath | None


_NOT_FOR_ENCODE = ("paths", "output_dir", "data", "dataset", "text_folder", "seed", "trust_modules")


def main(words: Sequence[str]) -> int:
    return run_verb("encode", start, words, keys=annotations(Folders))


def start(config: dict[str, Any]) -> int:
    """Check the configuration, keep it beside the log, fill the cache."""
    announce_libraries()
    from mmdiff.data.context_cache import fill_contexts
    from mmdiff.data.encode import encode

    allowed = allowed_for(config)
    arguments = {key: value for key, value in config.items() if key not in _NOT_FOR_ENCODE}
    check_arguments(encode, {**arguments, "dataset": config["dataset"]})
    check_nodes(config, allowed=allowed)
    arguments["device"] = device = chosen_device(config["device"])
    for name in ("vae", "audio_vae"):
        if not (Path(config[name]) / "config.json").is_file():
            raise UsageError(
                f"{name}={config[name]} is not the folder of a component",
                hint=f"{name}=RUN/components/{name}, which `mmdiff train` writes at its end",
            )
    rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if rank == 0:
        save_resolved(config, Path(config["output_dir"]))
    log_to_terminal()
    clips = chosen_clips(config, allowed)
    objects = {key: built(value, allowed) for key, value in arguments.items()}
    check_clip_rates(clips, objects["mel"], objects.get("grid"))
    facts = encode(clips, **objects, rank=rank, world_size=world_size)
    if rank == 0:
        if config["text_folder"] is not None:
            captions = [one.caption for one in facts]
            fill_contexts(config["folder"], captions, text=config["text_folder"], device=device)
        show_next(after_encode(config))
    return 0


def check_clip_rates(clips: "CheckedClips", mel: Any, grid: Any) -> None:
    """Raise UsageError, before a file is read, for clips of other rates than their latents have."""
    from mmdiff.values.shapes import LatentGrid

    spec, grid = getattr(clips, "spec", None), grid or LatentGrid()
    if spec is None:
        return
    for name, key, found, rate in (
        ("sample_rate", "mel.sample_rate", spec.sample_rate, mel.sample_rate),
        ("frame_rate", "the frame rate of the latents", spec.rate, grid.frame_rate),
    ):
        if found != rate:
            raise UsageError(
                f"data.spec.{name} is {found} and {key} is {rate}: the latents would be of another "
                "speed than the clips",
                hint=f"data.spec.{name}={rate}",
            )


def chosen_clips(config: dict[str, Any], allowed: Allowed) -> "CheckedClips":
    """Those of `data`, where it is chosen; otherwise `dataset`."""
    if config.get("data") is None:  # a group that is not chosen leaves no key
        clips: CheckedClips = built(config["dataset"], allowed)
        return clips
    files = built(config["data"], allowed).dataset
    if not hasattr(files, "clips"):
        raise UsageError(
            "data is not made of files, and what it holds cannot be encoded",
            hint="data=folder, data=pairs or data=shards",
        )
    listed: CheckedClips = files.clips
    return listed
