"""manifest.json of a checkpoint: what lies in its folder, by size and sha256."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmdiff.loading.digest import sha256_of

SCHEMA = 1
NAME = "manifest.json"
_STEP_FOLDER = re.compile(r"step_(\d+)")


class DamagedCheckpoint(ValueError):  # noqa: N818
    """A checkpoint folder that is not what its manifest says; the message names the file and what
    is wrong."""


@dataclass(frozen=True)
class FileFacts:
    """What proves that a file is the one that was written; sha256 in hexadecimal digits."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileFacts:
        return cls(path.stat().st_size, sha256_of(path))


@dataclass(frozen=True)
class Manifest:
    """The step of a checkpoint, and the facts of its files by name."""

    step: int
    files: Mapping[str, FileFacts]

    @property
    def text(self) -> str:
        files = {name: asdict(facts) for name, facts in self.files.items()}
        return json.dumps({"schema": SCHEMA, "step": self.step, "files": files}, indent=1)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest in `folder`; DamagedCheckpoint where there is none, where it is not one of
        this schema, or where it is of another step than the name of the folder."""
        path = folder / NAME
        if not path.is_file():
            raise DamagedCheckpoint(f"{folder} has no {NAME}: it was never finished")
        try:
            manifest = cls._parsed(json.loads(path.read_bytes()))
        except RecursionError as error:
            raise DamagedCheckpoint(f"{path} is damaged: it is nested too deep") from error
        except ValueError as error:
            raise DamagedCheckpoint(f"{path} is damaged: {error}") from error
        if step_of(folder) not in (None, manifest.step):
            raise DamagedCheckpoint(f"{path} is damaged: it is of step {manifest.step}")
        return manifest

    @classmethod
    def _parsed(cls, content: Any) -> Manifest:
        """ValueError says what is wrong."""
        if not isinstance(content, dict) or content.keys() != {"schema", "step", "files"}:
            raise ValueError("it must hold schema, step and files")
        schema, step, files = content["schema"], content["step"], content["files"]
        if schema != SCHEMA:
            raise ValueError(f"it has schema {schema!r}; this version reads schema {SCHEMA}")
        if type(step) is not int or step < 0:
            raise ValueError(f"its step is {step!r}")
        if not isinstance(files, dict) or "state.json" not in files:
            raise ValueError("its files must be named, state.json among them")
        return cls(step, {name: _facts(name, entry) for name, entry in files.items()})


def step_of(folder: Path) -> int | None:
    """The step in the name of a checkpoint folder; None where it has another name."""
    found = _STEP_FOLDER.fullmatch(folder.name)
    return int(found.group(1)) if found else None


def _facts(name: str, entry: Any) -> FileFacts:
    if not isinstance(entry, dict) or entry.keys() != {"bytes", "sha256"}:
        raise ValueError(f"it must hold bytes and sha256 of {name!r}")
    if Path(name).name != name:
        raise ValueError(f"{name!r} is not the name of a file")
    return FileFacts(entry["bytes"], entry["sha256"])
