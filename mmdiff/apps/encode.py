"""mmdiff encode: clips -> autoencoders -> the latent cache that diffusion is trained on.

Several processes share the work where torchrun starts them: torchrun --nproc_per_node=4 -m mmdiff
encode ...
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdiff.apps.compose import built, check_nodes, save_resolved
from mmdiff.apps.device import chosen_device
from mmdiff.apps.next_step import after_encode, show_next
from mmdiff.apps.run import run_verb
from mmdiff.apps.signature import check_arguments
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


READER = Folders
_NOT_FOR_ENCODE = ("paths", "output_dir", "data", "dataset", "text_folder", "seed")


def main(words: Sequence[str]) -> int:
    return run_verb("encode", partial(start, words=words), words)


def start(config: dict[str, Any], *, words: Sequence[str] = ()) -> int:
    """Check the configuration, keep it beside the log, fill the cache.

    words: of the command line, for the command that comes next.
    """
    announce_libraries()
    from mmdiff.data.context_cache import fill_contexts
    from mmdiff.data.encode import encode

    arguments = {key: value for key, value in config.items() if key not in _NOT_FOR_ENCODE}
    check_arguments(encode, {**arguments, "dataset": config["dataset"]})
    check_nodes(config)
    arguments["device"] = device = chosen_device(config["device"])
    for name in ("vae", "audio_vae"):
        if not (Path(config[name]) / "config.json").is_file():
            raise UsageError(
                f"{name}={config[name]} is not the folder of a component",
                key=name,
                got=f"{name}={config[name]}",
                cure=f"{name}=RUN/components/{name}, which `mmdiff train` writes at its end",
            )
    if os.environ.get("RANK", "0") == "0":
        save_resolved(config, Path(config["output_dir"]))
    log_to_terminal()
    rank, world_size = (
        int(os.environ.get(name, n)) for name, n in (("RANK", 0), ("WORLD_SIZE", 1))
    )
    clips = chosen_clips(config)
    objects = {key: built(value) for key, value in arguments.items()}
    check_clip_rates(clips, objects["mel"], objects.get("grid"))
    facts = encode(
        clips,
        **objects,
        rank=rank,
        world_size=world_size,
    )
    if config["text_folder"] is not None and rank == 0:
        captions = [one.caption for one in facts]
        fill_contexts(config["folder"], captions, text=config["text_folder"], device=device)
    if rank == 0:
        show_next(after_encode(words, config))
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
                key=f"data.spec.{name}",
                got=f"data.spec.{name}={found}",
                cure=f"data.spec.{name}={rate}",
            )


def chosen_clips(config: dict[str, Any]) -> "CheckedClips":
    """Those of `data`, where it is chosen; otherwise `dataset`."""
    if config.get("data") is None:  # a group that is not chosen leaves no key
        clips: CheckedClips = built(config["dataset"])
        return clips
    files = built(config["data"]).dataset
    if not hasattr(files, "clips"):
        raise UsageError(
            "data is not made of files, and what it holds cannot be encoded",
            key="data",
            cure="data=folder, data=pairs or data=shards",
        )
    listed: CheckedClips = files.clips
    return listed
