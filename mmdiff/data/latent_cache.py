"""The latent cache: what the autoencoders make of a dataset, in safetensors shards, never used when
stale.

spec.json                  schema, digests of the autoencoders, shape of the clips
shard_00000.safetensors    video n c f h w, audio n c t m, fp16, unit variance
shard_00000.json           key and caption of each clip, sha256 of the shard; written after it
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mmdiff.media.atomic import atomic_write
from mmdiff.values.latents import ClipLatents

SCHEMA = 1


class StaleCache(ValueError):  # noqa: N818
    """A latent cache made by other autoencoders, from other data, or damaged; the message says
    which, and the cure."""


@dataclass(frozen=True)
class CacheEntry:
    """What is known of one clip besides its latents."""

    key: str
    caption: str


def component_digest(folder: str | Path) -> str:
    """sha256 over the configuration and the weights of a component saved by `save_pretrained`."""
    digest = hashlib.sha256()
    files = sorted(
        path for path in Path(folder).glob("*") if path.suffix in (".json", ".safetensors")
    )
    if not any(path.suffix == ".safetensors" for path in files):
        raise FileNotFoundError(f"{folder} holds no component: no .safetensors in it")
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def cache_spec(components: dict[str, str], **facts: Any) -> dict[str, Any]:
    """What all latents of a cache depend on; `components` are folders by name."""
    digests = {name: component_digest(folder) for name, folder in sorted(components.items())}
    return {"schema": SCHEMA, "components": digests, **facts}


class LatentCache:
    """One folder of latents with its spec."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def spec(self) -> dict[str, Any]:
        """The spec that the cache was made with; StaleCache if there is none."""
        path = self.folder / "spec.json"
        if not path.is_file():
            raise StaleCache(f"{self.folder} holds no latent cache; fill it with `mmdiff encode`")
        spec: dict[str, Any] = json.loads(path.read_text())
        if spec.get("schema") != SCHEMA:
            raise StaleCache(
                f"{self.folder} has schema {spec.get('schema')}, this version reads {SCHEMA}; "
                "run `mmdiff encode overwrite=true`"
            )
        return spec

    def write_spec(self, spec: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.folder / "spec.json") as path:
            path.write_text(json.dumps(spec, indent=1))

    def check_components(self, components: dict[str, str]) -> None:
        """StaleCache unless the latents were made by these autoencoders (folders by name)."""
        made_by = self.spec()["components"]
        for name, folder in components.items():
            if made_by.get(name) != component_digest(folder):
                raise StaleCache(
                    f"the latents in {self.folder} were not made by the {name} in {folder}; "
                    "run `mmdiff encode overwrite=true` with it"
                )

    def write_shard(self, number: int, latents: ClipLatents, entries: list[CacheEntry]) -> None:
        """Store one shard; it exists once its JSON does."""
        tensors = {
            name: half.half().contiguous()
            for name, half in vars(latents).items()
            if half is not None
        }
        with atomic_write(self._tensors(number)) as path:
            save_file(tensors, path)
            digest = _digest(path)
        clips = [[entry.key, entry.caption] for entry in entries]
        with atomic_write(self._facts(number)) as path:
            path.write_text(json.dumps({"sha256": digest, "clips": clips}))

    def shard_entries(self, number: int) -> list[CacheEntry] | None:
        """The clips of a finished shard, None if it is not there."""
        path = self._facts(number)
        if not path.is_file() or not self._tensors(number).is_file():
            return None
        return [CacheEntry(*clip) for clip in json.loads(path.read_text())["clips"]]

    def read(self) -> tuple[ClipLatents, list[CacheEntry]]:
        """All latents, in memory, and their entries; StaleCache for a damaged shard."""
        entries: list[CacheEntry] = []
        parts: list[dict[str, Tensor]] = []
        while (clips := self.shard_entries(len(parts))) is not None:
            path = self._tensors(len(parts))
            if _digest(path) != json.loads(self._facts(len(parts)).read_text())["sha256"]:
                raise StaleCache(f"{path} is damaged; delete it and run `mmdiff encode` again")
            parts.append(load_file(path))
            entries += clips
        if not parts:
            raise StaleCache(f"{self.folder} holds no latents; fill it with `mmdiff encode`")
        halves = {name: torch.cat([part.pop(name) for part in parts]) for name in list(parts[0])}
        return ClipLatents(**halves), entries

    def _tensors(self, number: int) -> Path:
        return self.folder / f"shard_{number:05d}.safetensors"

    def _facts(self, number: int) -> Path:
        return self.folder / f"shard_{number:05d}.json"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
