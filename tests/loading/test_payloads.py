"""S1: twelve payloads that would run code when unpickled, in each place that something is read."""

import hashlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from mmdiff.data.checksummed_json import write_checksummed
from mmdiff.data.latent_cache import LatentCache
from mmdiff.loading.json_file import CheckpointError
from mmdiff.pipelines.pipeline import MMDiffPipeline
from mmdiff.training.checkpoint_folder import (
    latest_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from mmdiff.training.warm_start import saved_video_autoencoder

WEIGHTS = "diffusion_pytorch_model.safetensors"


class Payload:
    """Touches its marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.marker,)


def of_torch(payload: Payload) -> bytes:
    file = io.BytesIO()
    torch.save({"weight": torch.zeros(1), "payload": payload}, file)
    return file.getvalue()


def of_old_torch(payload: Payload) -> bytes:
    file = io.BytesIO()
    torch.save({"payload": payload}, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def of_numpy(payload: Payload) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([payload], dtype=object), allow_pickle=True)
    return file.getvalue()


def of_numpy_archive(payload: Payload) -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.array([payload], dtype=object))
    return file.getvalue()


def zipped(payload: Payload) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(payload))
    return file.getvalue()


def run_by_torch(content: bytes) -> None:
    torch.load(io.BytesIO(content), weights_only=False)


def run_by_numpy(content: bytes) -> None:
    loaded = np.load(io.BytesIO(content), allow_pickle=True)
    if not isinstance(loaded, np.ndarray):
        loaded["a"]


def run_by_pickle(content: bytes) -> None:
    if content.startswith(b"PK"):
        content = zipfile.ZipFile(io.BytesIO(content)).read("data.pkl")
    pickle.loads(content)  # noqa: S301


@dataclass(frozen=True)
class Kind:
    """A file that carries a payload: its name, its bytes, and who would run it."""

    name: str
    made: Callable[[Payload], bytes]
    run: Callable[[bytes], None]


PAYLOADS = {
    "bin": Kind("pytorch_model.bin", of_torch, run_by_torch),
    "pt": Kind("model.pt", of_torch, run_by_torch),
    "pth": Kind("model.pth", of_old_torch, run_by_torch),
    "ckpt": Kind("last.ckpt", of_torch, run_by_torch),
    "pkl": Kind("state.pkl", pickle.dumps, run_by_pickle),
    "pickle": Kind("state.pickle", pickle.dumps, run_by_pickle),
    "object_array": Kind("array.npy", of_numpy, run_by_numpy),
    "object_arrays": Kind("arrays.npz", of_numpy_archive, run_by_numpy),
    "pickle_as_safetensors": Kind(WEIGHTS, pickle.dumps, run_by_pickle),
    "torch_as_safetensors": Kind(WEIGHTS, of_torch, run_by_torch),
    "zip_as_safetensors": Kind(WEIGHTS, zipped, run_by_pickle),
    "pickle_as_json": Kind("config.json", pickle.dumps, run_by_pickle),
}
RENAMED = [name for name, kind in PAYLOADS.items() if kind.name in (WEIGHTS, "config.json")]
PLACES = [(place, name) for place in (".", "transformer") for name in PAYLOADS]
PLACES += [("text_encoder", name) for name in RENAMED]


@pytest.mark.parametrize("kind", PAYLOADS.values(), ids=PAYLOADS)
def test_s1_each_payload_runs_where_it_is_unpickled(tmp_path: Path, kind: Kind) -> None:
    marker = tmp_path / "marker"
    kind.run(kind.made(Payload(marker)))
    assert marker.exists()


@pytest.mark.parametrize(("place", "kind"), PLACES)
def test_s1_no_payload_in_a_pipeline_folder_runs(
    saved: Path, tmp_path: Path, place: str, kind: str
) -> None:
    folder, marker = shutil.copytree(saved, tmp_path / "copy"), tmp_path / "marker"
    name = PAYLOADS[kind].name
    if place == "." and kind in RENAMED:
        name = "model_index.json"
    elif place == "text_encoder" and name == WEIGHTS:
        name = "model.safetensors"
    (folder / place / name).write_bytes(PAYLOADS[kind].made(Payload(marker)))
    with pytest.raises(CheckpointError, match=r"can hold code|is damaged|is not readable JSON"):
        MMDiffPipeline.from_pretrained(folder)
    assert not marker.exists()


@pytest.mark.parametrize("kind", PAYLOADS.values(), ids=PAYLOADS)
def test_s1_no_payload_in_the_folder_of_a_component_runs(
    saved: Path, tmp_path: Path, kind: Kind
) -> None:
    folder, marker = shutil.copytree(saved / "vae", tmp_path / "vae"), tmp_path / "marker"
    name = kind.name
    if Path(name).suffix not in (".safetensors", ".json"):
        (folder / WEIGHTS).unlink()
        name = f"diffusion_pytorch_model{Path(name).suffix}"
    (folder / name).write_bytes(kind.made(Payload(marker)))
    with pytest.raises((OSError, ValueError, RuntimeError, SafetensorError)):
        saved_video_autoencoder(str(folder))
    assert not marker.exists()


@pytest.mark.parametrize("kind", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("name", ["optimizer.safetensors", "weights.safetensors", "state.json"])
def test_s1_no_payload_in_a_training_checkpoint_runs(tmp_path: Path, kind: Kind, name: str) -> None:
    folder, marker = tmp_path / "step_00000001", tmp_path / "marker"
    momentum = {"momentum": torch.ones(2)}
    state = {"global_step": 1, "state_dict": {"w": torch.ones(2)}, "optimizer_states": [momentum]}
    write_checkpoint(state, folder)
    content = kind.made(Payload(marker))
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["files"][name] |= facts  # whoever swaps a file can write its digest too
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError):
        read_checkpoint(folder)
    (folder / "manifest.json").write_bytes(content)
    assert latest_checkpoint(tmp_path) is None
    assert not marker.exists()


@pytest.mark.parametrize("kind", PAYLOADS.values(), ids=PAYLOADS)
def test_s1_no_payload_in_the_latent_cache_runs(tmp_path: Path, kind: Kind) -> None:
    marker = tmp_path / "marker"
    content = kind.made(Payload(marker))
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "shard_a.safetensors").write_bytes(content)
    write_checksummed(tmp_path / "shard_a.json", {"identities": ["a"], "sha256": digest})
    cache = LatentCache(tmp_path)
    with pytest.raises(ValueError, match="cannot be read"):
        [shard.shapes for shard in cache.shards()]
    for name, read in {
        "shard_a.json": lambda: list(cache.shards()),
        "spec.json": cache.spec,
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError):
            read()
    assert not marker.exists()
