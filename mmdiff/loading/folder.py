"""The folder that a person names: the bundled model, a folder here, or a repository of the hub."""

import difflib
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

from mmdiff.loading.json_file import CheckpointError

BUNDLED = "bounce"
HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]  # never pickles or code


def pipeline_folder(name: str | PathLike[str] | None, **hub: Any) -> Path:
    """The local folder of pipeline `name`, fetched from the hub where it must be; None means the
    bundled model.

    hub  options of `huggingface_hub.snapshot_download`

    Raises CheckpointError where there is none, saying what was looked for and what to do.
    """
    if name is None:
        path = Path(str(resources.files("mmdiff"))) / "pretrained" / BUNDLED
        if not (path / "model_index.json").is_file():
            raise CheckpointError(
                f"the bundled model is not in this installation ({path} is missing or incomplete). "
                "Install mmdiff again, or name a folder or a hub repository."
            )
        return path
    otherwise = ", or leave it out for the bundled model."
    folder = named_folder(name, holds="model_index.json", otherwise=otherwise, **hub)
    if (folder / "model_index.json").is_file():
        return folder
    inside = sorted(path.parent for path in folder.glob("*/model_index.json"))
    hint = (
        f"; did you mean {inside[0]}?"
        if inside
        else ": it is no pipeline folder, which save_pretrained writes"
    )
    raise CheckpointError(f"{folder} holds no model_index.json{hint}")


def named_folder(name: str | PathLike[str], *, holds: str, otherwise: str = "", **hub: Any) -> Path:
    """The local folder of `name`, fetched from the hub where it must be.

    holds      what the folder should hold, for the message
    otherwise  what else a person could do, for the message

    Raises CheckpointError where there is none, saying what was looked for and what to do.
    """
    path, text = Path(name).expanduser(), str(name)
    if path.is_dir():
        return path
    if path.exists():
        raise CheckpointError(f"{path} is a file; give the folder that holds {holds}")
    is_local = text.startswith((".", "/", "~")) or text.count("/") > 1 or "\\" in text
    if is_local or not text.strip():
        raise CheckpointError(
            f"there is no folder {path}{_nearest(path)}. Give the one that holds {holds}{otherwise}"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(text, allow_patterns=HUB_PATTERNS, **hub))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{text!r} is neither a folder here{_nearest(path)} nor a repository that the Hugging "
            f"Face hub gives out ({type(error).__name__}). Give a folder, or check the name and "
            f"the network{otherwise}"
        ) from error


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (nor its parent {path.parent})"
    names = [other.name for other in path.parent.iterdir() if other.is_dir()]
    close = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / close[0]}?" if close else f" in {path.parent}"
