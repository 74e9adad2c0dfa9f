"""Where a pipeline's files lie: the bundled model, a folder, or a hub repository."""

import difflib
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

from mmdiff.values.checkpoint_files import CheckpointError

BUNDLED = "bounce"
HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]  # never pickles or code


def pipeline_folder(
    name: str | PathLike[str] | None,
    *,
    revision: str | None = None,
    cache_dir: str | PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Path:
    """The local folder of pipeline `name`, fetched from the hub where it must be.

    None means the bundled model.

    Raises CheckpointError where there is none, saying what was looked for and what to do.
    """
    if name is None:
        return _bundled()
    path = Path(name).expanduser()
    if path.is_dir():
        return _with_index(path)
    if path.exists():
        raise CheckpointError(f"{path} is a file; give the folder that holds model_index.json")
    if not _may_be_repository(str(name)):
        raise CheckpointError(
            f"there is no folder {path}{_nearest(path)}. Give the one that holds model_index.json, "
            "or leave it out for the bundled model."
        )
    return _with_index(
        _download(
            str(name),
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
        )
    )


def _bundled() -> Path:
    path = Path(str(resources.files("mmdiff"))) / "pretrained" / BUNDLED
    if not (path / "model_index.json").is_file():
        raise CheckpointError(
            f"the bundled model is not in this installation ({path} is missing or incomplete). "
            "Install mmdiff again, or name a folder or a hub repository."
        )
    return path


def _with_index(folder: Path) -> Path:
    if (folder / "model_index.json").is_file():
        return folder
    inside = sorted(path.parent for path in folder.glob("*/model_index.json"))
    hint = (
        f"; did you mean {inside[0]}?"
        if inside
        else ": it is no pipeline folder, which save_pretrained writes"
    )
    raise CheckpointError(f"{folder} holds no model_index.json{hint}")


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


def _download(name: str, **options: Any) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=HUB_PATTERNS, **options))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{name!r} is neither a folder here{_nearest(Path(name))} nor a repository that the "
            f"Hugging Face hub gives out "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0]}). Give a folder, "
            "check the name and the network, or leave it out for the bundled model."
        ) from error
