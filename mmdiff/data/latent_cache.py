"""The latent cache: what the autoencoders make of a dataset, never used when stale.

    spec.json                        schema, digests of the autoencoders, precision
    shard_1f0c....safetensors        video n c f h w, audio n c t m, unit variance
    shard_1f0c....json               what each row is the latents of, sha256 of the shard; after it
    index.json                       the clips of the dataset in order: key, caption, identity

A row is found by the *identity* of its clip: a digest of the content of the file, the stretch of it
and the spec it was brought to. So another order, another caption or another file by the same name
never gets the latents of something else, and what is there is never made twice.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmdiff.media.atomic import atomic_write
from mmdiff.media.file_digest import sha256_of, sha256_of_all
from mmdiff.values.latents import ClipLatents
from mmdiff.values.sample import SampleFacts

SCHEMA = 2
PRECISIONS = {"float16": torch.float16, "float32": torch.float32}


class StaleCache(ValueError):  # noqa: N818
    """A latent cache made by other autoencoders, from other data, or damaged; the message says
    which, and the cure."""


def precision_of(name: str) -> torch.dtype:
    """The dtype of latents by its name; ValueError where there is none of that name."""
    if name not in PRECISIONS:
        raise ValueError(f"precision is {name}; possible are {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


def digest_of(*parts: Any) -> str:
    """sha256 of plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def component_digest(folder: str | Path) -> str:
    """sha256 over the configuration and the weights of a component saved by `save_pretrained`."""
    files = sorted(
        path for path in Path(folder).glob("*") if path.suffix in (".json", ".safetensors")
    )
    if not any(path.suffix == ".safetensors" for path in files):
        raise FileNotFoundError(f"{folder} holds no component: no .safetensors in it")
    return sha256_of_all(files)


def cache_spec(components: dict[str, str], **facts: Any) -> dict[str, Any]:
    """What all latents of a cache depend on; `components` are folders by name."""
    digests = {name: component_digest(folder) for name, folder in sorted(components.items())}
    return {"schema": SCHEMA, "components": digests, **facts}


@dataclass(frozen=True)
class Shard:
    """Latents of clips that are alike, in one file; read row by row."""

    path: Path
    identities: tuple[str, ...]
    sha256: str

    def check(self) -> None:
        """StaleCache unless the file is what was written."""
        if not self.path.is_file() or sha256_of(self.path) != self.sha256:
            raise StaleCache(
                f"{self.path} is damaged; delete it and its .json and run `mmdiff encode` again"
            )

    @cached_property
    def _file(self) -> Any:
        return safe_open(self.path, framework="pt")

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of one row of each half."""
        try:
            return {
                name: tuple(self._file.get_slice(name).get_shape()[1:])
                for name in self._file.keys()  # noqa: SIM118
            }
        except (OSError, SafetensorError) as error:
            raise StaleCache(f"{self.path} cannot be read: {error}") from error

    def row(self, row: int) -> dict[str, Tensor]:
        """Each half of one clip, without batch."""
        return {name: self._file.get_slice(name)[row] for name in self.shapes}

    def __getstate__(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in ("path", "identities", "sha256")}


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
        self._write_json("spec.json", spec)

    def check_components(self, components: dict[str, str]) -> None:
        """StaleCache unless the latents were made by these autoencoders (folders by name)."""
        made_by = self.spec()["components"]
        for name, folder in components.items():
            if made_by.get(name) != component_digest(folder):
                raise StaleCache(
                    f"the latents in {self.folder} were not made by the {name} in {folder}; "
                    "run `mmdiff encode overwrite=true` with it"
                )

    def write_shard(
        self, latents: ClipLatents, identities: Sequence[str], precision: torch.dtype
    ) -> None:
        """Store latents of clips that are alike; they exist once the shard's JSON does."""
        tensors = {
            name: half.to(precision).contiguous()
            for name, half in vars(latents).items()
            if half is not None
        }
        name = f"shard_{digest_of(*identities)[:16]}"
        with atomic_write(self.folder / f"{name}.safetensors") as path:
            save_file(tensors, path)
            sha256 = sha256_of(path)
        self._write_json(f"{name}.json", {"sha256": sha256, "identities": list(identities)})

    def shards(self) -> Iterator[Shard]:
        """The finished shards, in the order of their names."""
        for facts_path in sorted(self.folder.glob("shard_*.json")):
            try:
                facts = json.loads(facts_path.read_text())
                identities, sha256 = tuple(facts["identities"]), str(facts["sha256"])
            except (ValueError, KeyError, TypeError) as error:
                raise StaleCache(
                    f"{facts_path} is damaged ({error}); delete it and run `mmdiff encode` again"
                ) from error
            path = facts_path.with_suffix(".safetensors")
            if path.is_file():
                yield Shard(path, identities, sha256)

    def write_index(self, entries: Sequence[SampleFacts]) -> None:
        """The clips of the dataset in order: from now on the cache is complete."""
        clips = [[entry.key, entry.caption, entry.identity] for entry in entries]
        self._write_json("index.json", {"clips": clips})

    def entries(self) -> list[SampleFacts]:
        """The clips of the dataset; StaleCache where encoding has not ended."""
        self.spec()
        path = self.folder / "index.json"
        if not path.is_file():
            raise StaleCache(f"{self.folder} is not filled yet; run `mmdiff encode` to its end")
        try:
            return [SampleFacts(*clip) for clip in json.loads(path.read_text())["clips"]]
        except (ValueError, KeyError, TypeError) as error:
            raise StaleCache(f"{path} is damaged ({error}); run `mmdiff encode` again") from error

    def _write_json(self, name: str, document: dict[str, Any]) -> None:
        with atomic_write(self.folder / name) as path:
            path.write_text(json.dumps(document, indent=1))
