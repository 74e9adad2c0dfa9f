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

from mmdiff.media.redaction import concealed, without_folders

LONGEST_COMMENT_PROMPT = 2000
PACKAGES = ("mmdiff", "torch", "torchaudio", "diffusers", "transformers", "av")


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


def encode_sidecar(
    clip_path: str | PathLike[str], *, prompt: str, seed: int | None, settings: Mapping[str, Any]
) -> bytes:
    """The facts of a clip as the bytes of the JSON beside it.

    Raises ValueError where a setting is no plain value.
    """
    facts = clip_facts(prompt=prompt, seed=seed, settings=settings)
    named = {"clip": Path(clip_path).name, **facts}
    text = json.dumps(named, indent=2, ensure_ascii=False, allow_nan=False)
    # one of a pair of surrogates is no UTF-8; JSON has a spelling for it that reads back the same
    text = re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)
    return (text + "\n").encode()


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
        return _plain(Path(fspath(value)).as_posix(), name)
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{name} is a {type(value).__name__}; a sidecar holds numbers, strings, lists and "
            "mappings: convert it"
        )
    plain: dict[str, Any] = {}
    for key, item in value.items():
        short, count = _plain(str(key), name), 1
        unique = short
        while unique in plain:  # keys that lost the same folders stay different
            count += 1
            unique = f"{short} ({count})"
        plain[unique] = _plain(item, f"{name}.{unique}")
    return plain
