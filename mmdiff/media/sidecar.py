"""The JSON beside a clip: how it was made, so that it can be made again."""

import json
import math
from collections.abc import Mapping
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from mmdiff.media.atomic import atomic_write

PACKAGES = ("mmdiff", "torch", "torchaudio", "diffusers", "transformers", "av")


def sidecar_path(clip_path: str | PathLike[str]) -> Path:
    """`clip.mp4` -> `clip.json`."""
    return Path(clip_path).with_suffix(".json")


def write_sidecar(
    clip_path: str | PathLike[str],
    *,
    prompt: str,
    seed: int | None,
    settings: Mapping[str, Any],
    overwrite: bool = True,
) -> Path:
    """Write prompt, seed, settings and versions beside the clip; the path of the JSON is returned.

    Holds no absolute paths (only their last part is kept) and no time of day: equal runs give equal
    files. Raises ValueError where a setting is no plain value.
    """
    target = sidecar_path(clip_path)
    facts = {
        "clip": Path(clip_path).name,
        "prompt": prompt,
        "seed": seed,
        "settings": _plain(settings, "settings"),
        "versions": installed_versions(),
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_write(target, overwrite=overwrite) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return target


def read_sidecar(clip_path: str | PathLike[str]) -> dict[str, Any]:
    """What `write_sidecar` wrote. Raises ValueError naming a damaged file."""
    path = sidecar_path(clip_path)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if not isinstance(facts, dict):
        raise ValueError(f"{path} is no sidecar: it holds a {type(facts).__name__}")
    return facts


def installed_versions() -> dict[str, str]:
    """Version of each package that a clip depends on; those not installed are left out."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _plain(value: Any, name: str) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return Path(value).name if Path(value).is_absolute() else value
    if isinstance(value, PathLike):
        path = Path(fspath(value))
        return path.name if path.is_absolute() else path.as_posix()
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    raise ValueError(
        f"{name} is a {type(value).__name__}; a sidecar holds numbers, strings, lists and mappings"
    )
