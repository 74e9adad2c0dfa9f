"""Where a pipeline's files lie: the bundled model, a folder, or a hub repository."""

from importlib import resources
from os import PathLike
from pathlib import Path

from mmdiff.values.checkpoint_files import CheckpointError
from mmdiff.values.named_folder import named_folder

BUNDLED = "bounce"


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
    return _with_index(
        named_folder(
            name,
            holds="model_index.json",
            otherwise=", or leave it out for the bundled model.",
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
