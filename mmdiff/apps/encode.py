"""mmdiff encode: clips -> autoencoders -> the latent cache that diffusion is trained on.

Several processes share the work where torchrun starts them: torchrun --nproc_per_node=4 -m mmdiff
encode ...
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.logging import RichHandler

from mmdiff.apps.compose import built, check_nodes, save_resolved
from mmdiff.apps.run import run_verb
from mmdiff.apps.signature import check_arguments
from mmdiff.apps.usage_error import UsageError

_NOT_FOR_ENCODE = ("paths", "output_dir")


def main(words: Sequence[str]) -> int:
    return run_verb("encode", start, words)


def start(config: dict[str, Any]) -> int:
    """Check the configuration, keep it beside the log, fill the cache."""
    from mmdiff.data.encode import encode

    arguments = {key: value for key, value in config.items() if key not in _NOT_FOR_ENCODE}
    check_arguments(encode, arguments)
    check_nodes(config)
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
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False)],
    )
    rank, world_size = (
        int(os.environ.get(name, n)) for name, n in (("RANK", 0), ("WORLD_SIZE", 1))
    )
    encode(
        **{key: built(value) for key, value in arguments.items()},
        rank=rank,
        world_size=world_size,
    )
    return 0
