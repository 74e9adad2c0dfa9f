"""A folder that a person names: here, or a repository of the Hugging Face hub."""

import difflib
from os import PathLike
from pathlib import Path
from typing import Any

from mmdiff.values.checkpoint_files import CheckpointError

HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]  # never pickles or code


def named_folder(name: str | PathLike[str], *, holds: str, otherwise: str = "", **hub: Any) -> Path:
    """The local folder of `name`, fetched from the hub where it must be.

    holds      what the folder should hold, for the message
    otherwise  what else a person could do, for the message
    hub        options of `huggingface_hub.snapshot_download`

    Raises CheckpointError where there is none, saying what was looked for and what to do.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{path} is a file; give the folder that holds {holds}")
    if not _may_be_repository(str(name)):
        raise CheckpointError(
            f"there is no folder {path}{_nearest(path)}. Give the one that holds {holds}{otherwise}"
        )
    return _download(str(name), otherwise, hub)


def _may_be_repository(name: str) -> bool:
    return (
        not name.startswith((".", "/", "~"))
        and name.count("/") <= 1
        and "\\" not in name
        and bool(name.strip())
    )


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor its parent {path.parent})"
    names = [other.name for other in path.parent.iterdir() if other.is_dir()]
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else f" in {path.parent}"


def _download(name: str, otherwise: str, options: dict[str, Any]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_PATTERNS, **options))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{name!r} is neither a folder here{_nearest(Path(name))} nor a repository that the "
            f"Hugging Face hub gives out "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0]}). Give a folder, "
            f"or check the name and the network{otherwise}"
        ) from error
