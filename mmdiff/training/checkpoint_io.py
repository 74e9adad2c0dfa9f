"""Lightning's door to checkpoints of ours: atomic folders of safetensors and JSON."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.plugins.io import CheckpointIO

from mmdiff.training.checkpoint_folder import read_checkpoint, sweep, write_checkpoint


class SafeCheckpointIO(CheckpointIO):
    """Writes what Lightning hands over to a folder that a kill cannot damage; reads it without
    pickle.

    configuration: of the run, plain values, kept in each checkpoint, so that a run resumed with
        another one can be told what has changed.
    """

    def __init__(self, configuration: Mapping[str, Any] | None = None) -> None:
        self.configuration = configuration

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,
    ) -> None:
        folder = Path(path)
        if folder.parent.is_dir():
            sweep(folder.parent)
        write_checkpoint(checkpoint, folder, configuration=self.configuration)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))  # on the CPU; the strategy moves it

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        shutil.rmtree(path, ignore_errors=True)
