"""From the words of a shell to what Hydra's parser takes.

Hydra reads `prompt=a ball, a ping: "high"` as a sweep over two values and stumbles over the colon.
Values of the free-text keys are therefore quoted here, so that they mean themselves; every other
key keeps Hydra's own grammar.
"""

import re
from collections.abc import Sequence

TEXT_KEYS = ("prompt", "negative_prompt")
PATH_KEYS = ("output", "prompts", "checkpoint", "resume", "run", "path", "root")
RUN_KEYS = ("vae_run", "audio_vae_run", "vocoder_run", "diffusion_run")
PATH_ENDINGS = ("_dir", "_path", "_file", "_folder", "_checkpoint")
_FLAGS_WITH_VALUE = {
    *("--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd"),
}
_INFO_FLAGS = {"--info", "-i"}
_INFO_CHOICES = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}
_ASSIGNMENT = re.compile(r"(?P<key>\+{0,2}[\w.]+)=(?P<value>.*)", re.DOTALL)


def flags_and_overrides(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split a command line into flags with their values, and overrides, in any order."""
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            overrides.append(quoted_override(word))
            continue
        flags.append(word)
        takes_next = word in _FLAGS_WITH_VALUE or (word in _INFO_FLAGS and rest[:1] != [])
        if takes_next and rest and (word not in _INFO_FLAGS or rest[0] in _INFO_CHOICES):
            flags.append(rest.pop(0))
    return flags, overrides


def quoted_override(word: str) -> str:
    """Quote the value of a free-text key; leave every other override as it is."""
    match = _ASSIGNMENT.fullmatch(word)
    if match is None:
        return word
    key, value = match["key"], match["value"]
    name = key.lstrip("+").rsplit(".", 1)[-1]
    is_text = name in TEXT_KEYS
    if not (is_text or is_path(name)) or value == "null" or _is_quoted(value):
        return word
    # A prompt may hold "${": it means itself. In a path ${now:...} keeps its meaning.
    return f"{key}={quoted(_without_interpolation(value) if is_text else value)}"


def is_path(name: str) -> bool:
    """Whether the last part of a key names a file or a folder."""
    return name in (*PATH_KEYS, *RUN_KEYS) or name.endswith(PATH_ENDINGS)


def quoted(text: str) -> str:
    """A single-quoted string of Hydra's grammar that stands for exactly `text`."""
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + "\\'", text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return "'" + escaped + "\\" * trailing + "'"


def _without_interpolation(text: str) -> str:
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", text)


def _is_quoted(value: str) -> bool:
    return re.fullmatch(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", value, re.DOTALL) is not None
