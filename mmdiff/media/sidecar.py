"""The JSON beside a clip: how it was made, so that it can be made again."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from mmdiff.media.atomic import write_files
from mmdiff.media.redaction import concealed, without_folders

LONGEST_COMMENT_PROMPT = 2000
_SURROGATE = re.compile("[\ud800-\udfff]")
PACKAGES = ("mmdiff", "torch", "torchaudio", "diffusers", "transformers", "av")


def sidecar_path(clip_path: str | PathLike[str]) -> Path:
    """`clip.mp4` -> `clip.json`."""
    return Path(clip_path).with_suffix(".json")


def clip_facts(*, prompt: str, seed: int | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Prompt, seed, settings with their digest, and versions, as plain values.

    The settings hold no absolute paths (only their last part is kept, also within a text or a key),
    nothing holds the time of day or a secret of the environment (the name of its variable stands
    there): equal runs give equal facts. Raises ValueError where a setting is no plain value.
    """
    plain = _plain(settings, "settings")
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    return {
        "prompt": concealed(prompt),
        "seed": seed,
        "settings": plain,
        "settings_sha256": hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest(),
        "versions": installed_versions(),
    }


def clip_comment(*, prompt: str, seed: int | None, settings: Mapping[str, Any]) -> str:
    """The facts of a clip on one line, for the inside of the file; a prompt of more than 2,000
    characters is cut, the sidecar has it whole."""
    facts = clip_facts(prompt=prompt, seed=seed, settings=settings)
    if len(facts["prompt"]) > LONGEST_COMMENT_PROMPT:
        facts["prompt"] = f"{facts['prompt'][:LONGEST_COMMENT_PROMPT]} ..."
    return json.dumps(facts, allow_nan=False)


def write_sidecar(
    clip_path: str | PathLike[str],
    *,
    prompt: str,
    seed: int | None,
    settings: Mapping[str, Any],
    overwrite: bool = True,
) -> Path:
    """Write the facts of a clip beside it; the path of the JSON is returned.

    Raises ValueError where a setting is no plain value, OSError for a path that cannot be written.
    """
    target = sidecar_path(clip_path)
    content = encode_sidecar(clip_path, prompt=prompt, seed=seed, settings=settings)
    write_files({target: content}, overwrite=overwrite)
    return target


def encode_sidecar(
    clip_path: str | PathLike[str], *, prompt: str, seed: int | None, settings: Mapping[str, Any]
) -> bytes:
    """The facts of a clip as the bytes of the JSON beside it.

    Raises ValueError where a setting is no plain value.
    """
    facts = clip_facts(prompt=prompt, seed=seed, settings=settings)
    named = {"clip": Path(clip_path).name, **facts}
    text = json.dumps(named, indent=2, ensure_ascii=False, allow_nan=False)
    # half a surrogate pair is no UTF-8; JSON has a spelling for it that reads back the same
    text = _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    return (text + "\n").encode()


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
        return concealed(without_folders(value))
    if isinstance(value, PathLike):
        return concealed(without_folders(Path(fspath(value)).as_posix()))
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return _with_plain_keys(value, name)
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    raise ValueError(
        f"{name} is a {type(value).__name__}; a sidecar holds numbers, strings, lists and "
        "mappings: convert it"
    )


def _with_plain_keys(values: Mapping[Any, Any], name: str) -> dict[str, Any]:
    """Keys that were different stay so: those that lost the same folders are numbered."""
    plain: dict[str, Any] = {}
    for key, item in values.items():
        short, count = concealed(without_folders(str(key))), 1
        unique = short
        while unique in plain:
            count += 1
            unique = f"{short} ({count})"
        plain[unique] = _plain(item, f"{name}.{unique}")
    return plain
