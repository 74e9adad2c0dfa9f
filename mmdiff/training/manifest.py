"""manifest.json of a checkpoint: what lies in its folder, by size and sha256."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdiff.loading.digest import sha256_of

SCHEMA = 1
NAME = "manifest.json"
_digests: dict[tuple[int, ...], str] = {}  # by device, inode, size and time of the last change


class DamagedCheckpoint(ValueError):  # noqa: N818
    """A checkpoint folder that is not what its manifest says; the message names the file and what
    is wrong."""


@dataclass(frozen=True)
class Manifest:
    """The step of a checkpoint, and the size in bytes and the sha256 of its files by name."""

    step: int
    files: Mapping[str, tuple[int, str]]

    @classmethod
    def of(cls, files: Iterable[Path], *, step: int) -> Manifest:
        return cls(step, {path.name: (path.stat().st_size, _digest(path)) for path in files})

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest in `folder`; DamagedCheckpoint where there is none, where it is not one of
        this schema, or where it is of another step than the name of the folder."""
        path = folder / NAME
        if not path.is_file():
            raise DamagedCheckpoint(f"{folder} has no {NAME}: it was never finished")
        try:
            return cls._parsed(json.loads(path.read_bytes()), folder)
        except (AttributeError, KeyError, TypeError) as error:
            reason = "it must hold schema, step and files, and of each file bytes and sha256"
            raise DamagedCheckpoint(f"{path} is damaged: {reason}") from error
        except (RecursionError, ValueError) as error:
            raise DamagedCheckpoint(f"{path} is damaged: {error}") from error

    @classmethod
    def _parsed(cls, content: Any, folder: Path) -> Manifest:
        schema, step = content["schema"], content["step"]
        files = {name: (fact["bytes"], fact["sha256"]) for name, fact in content["files"].items()}
        if schema != SCHEMA:
            raise ValueError(f"it has schema {schema!r}; this version reads schema {SCHEMA}")
        if type(step) is not int or step_of(folder) not in (None, step):
            raise ValueError(f"it is of step {step!r}")
        if outside := [name for name in files if Path(name).name != name]:
            raise ValueError(f"{outside[0]!r} is not the name of a file")
        if "state.json" not in files:
            raise ValueError("state.json is not among its files")
        return cls(step, files)

    def write(self, folder: Path) -> None:
        files = {name: {"bytes": size, "sha256": sha} for name, (size, sha) in self.files.items()}
        content = {"schema": SCHEMA, "step": self.step, "files": files}
        (folder / NAME).write_text(json.dumps(content, indent=1))

    def verify(self, folder: Path) -> None:
        """DamagedCheckpoint for a file in `folder` that is missing, or not the one of this
        manifest."""
        for name, (size, sha256) in self.files.items():
            path = folder / name
            if not path.is_file():
                raise DamagedCheckpoint(f"{path} is missing")
            if (found := path.stat().st_size) != size:
                raise DamagedCheckpoint(f"{path} has {found} bytes instead of {size}")
            if _digest(path) != sha256:
                raise DamagedCheckpoint(f"{path} does not match its sha256")


def step_of(folder: Path) -> int | None:
    """The step in the name of a checkpoint folder; None where it has another name."""
    found = re.fullmatch(r"step_(\d+)", folder.name)
    return int(found.group(1)) if found else None


def _digest(path: Path) -> str:
    """The sha256 of a file. To choose a checkpoint, to load it and to keep it reads its gigabytes
    once: again only what was changed since this process wrote or read it."""
    at = path.stat()
    version = (at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns)
    if version not in _digests:
        _digests[version] = sha256_of(path)
    return _digests[version]
