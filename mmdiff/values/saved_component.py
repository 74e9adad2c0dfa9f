"""A trained component from its folder, through the same checks as all of a pipeline's."""

from os import PathLike
from pathlib import Path
from typing import Any

from mmdiff.values.component_check import check_component
from mmdiff.values.module_memory import align_weights


def saved_component(kind: Any, folder: str | PathLike[str]) -> Any:
    """The component in `folder`.

    kind: a model class of diffusers or transformers.

    Raises CheckpointError, before anything is built, for what `check_component` refuses.
    """
    check_component(Path(folder), kind)
    component = kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
    align_weights(component)
    return component
