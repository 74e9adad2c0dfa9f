"""The latent cache: what the autoencoders make of a dataset, never used when stale.

    spec.json                        schema, digests of the autoencoders, mel, grid, precision
    shard_1f0c....safetensors        video n c f h w, audio n c t m, unit variance
    shard_1f0c....json               what each row is the latents of, sha256 of the shard; after it
    index.json                       the clips of the dataset in order: key, caption, identity

Each JSON carries the digest of what it holds. A row is found by the *identity* of its clip: a
digest of the content of the file, the span of it and the spec it was brought to. So another
order, another caption or another file by the same name never gets the latents of something else,
and what is there is never made twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mmdiff.data.checksummed_json import (
    StaleCache,
    digest_of,
    read_checksummed,
    write_checksummed,
)
from mmdiff.loading.digest import sha256_of, sha256_of_all
from mmdiff.media.atomic import atomic_write
from mmdiff.values.latents import ClipLatents
from mmdiff.values.sample import SampleFacts

SCHEMA = 3
PRECISIONS = {"float16": torch.float16, "float32": torch.float32}


def precision_of(name: str) -> torch.dtype:
    """The dtype of latents by its name; ValueError where there is none of that name."""
    if name not in PRECISIONS:
        raise ValueError(f"precision is {name}; possible are {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


def component_digest(folder: str | Path) -> str:
    """sha256 over the configuration and the weights of a component saved by `save_pretrained`."""
    files = sorted(
        path for path in Path(folder).glob("*") if path.suffix in (".json", ".safetensors")
    )
    if not any(path.suffix == ".safetensors" for path in files):
        raise FileNotFoundError(f"{folder} holds no component: no .safetensors in it")
    return sha256_of_all(files)


def cache_spec(components: dict[str, str], **facts: Any) -> dict[str, Any]:
    """What all latents of a cache depend on: `components` are folders by name, `facts` plain values
    or settings of what has no weights."""
    digests = {name: component_digest(folder) for name, folder in sorted(components.items())}
    return {"schema": SCHEMA, "components": digests, **facts}


def settings_of(thing: Any) -> dict[str, str]:
    """Of a module without weights, or of a frozen value: its class, and each number and text that
    it was made with or derived from that, exactly."""
    plain = {name: value for name, value in vars(thing).items() if not name.startswith("_")}
    settings = {name: repr(v) for name, v in plain.items() if isinstance(v, int | float | str)}
    settings |= {name: str(v) for name, v in plain.items() if isinstance(v, Fraction)}
    settings.pop("training", None)
    return {"kind": type(thing).__name__, **settings}


@dataclass(frozen=True)
class Shard:
    """Latents of clips of one shape, in one file; read row by row."""

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
        """Of one row of each modality."""
        try:
            return {
                name: tuple(self._file.get_slice(name).get_shape()[1:])
                for name in self._file.keys()  # noqa: SIM118
            }
        except (OSError, SafetensorError) as error:
            raise StaleCache(f"{self.path} cannot be read: {error}") from error

    def row(self, row: int) -> dict[str, Tensor]:
        """Each modality of one clip, without batch."""
        return {name: self._file.get_slice(name)[row] for name in self.shapes}

    # workers open the file anew: a mapping of it does not survive a pickle
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
        return read_checksummed(path, schema=SCHEMA, hint="run `mmdiff encode overwrite=true`")

    def write_spec(self, spec: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_checksummed(self.folder / "spec.json", spec)

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
        """Store latents of clips of one shape; they exist once the shard's JSON does."""
        tensors = {name: part.to(precision).contiguous() for name, part in latents.items()}
        name = f"shard_{digest_of(*identities)[:16]}"
        with atomic_write(self.folder / f"{name}.safetensors") as path:
            save_file(tensors, path)
            sha256 = sha256_of(path)
        # last: a shard without it was cut off by a kill, and is made again
        facts = {"sha256": sha256, "identities": list(identities)}
        write_checksummed(self.folder / f"{name}.json", facts)

    def shards(self) -> Iterator[Shard]:
        """The finished shards, in the order of their names."""
        # sorted: the order of a folder differs from file system to file system
        for facts_path in sorted(self.folder.glob("shard_*.json")):
            hint = "delete it and run `mmdiff encode` again"
            facts = read_checksummed(facts_path, hint=hint)
            path = facts_path.with_suffix(".safetensors")
            if path.is_file():
                yield Shard(path, tuple(facts["identities"]), facts["sha256"])

    def write_index(self, entries: Sequence[SampleFacts]) -> None:
        """The clips of the dataset in order: from now on the cache is complete."""
        clips = [[entry.key, entry.caption, entry.identity] for entry in entries]
        write_checksummed(self.folder / "index.json", {"clips": clips})

    def entries(self) -> list[SampleFacts]:
        """The clips of the dataset; StaleCache where encoding has not ended."""
        self.spec()
        path = self.folder / "index.json"
        if not path.is_file():
            raise StaleCache(f"{self.folder} is not filled yet; run `mmdiff encode` to its end")
        clips = read_checksummed(path, hint="run `mmdiff encode` again")["clips"]
        return [SampleFacts(*clip) for clip in clips]
