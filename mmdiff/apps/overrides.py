"""From the words of a shell to what Hydra's parser takes.

Hydra reads `prompt=a ball, a ping: "high"` as a sweep over two values and stumbles over the colon;
`image=IMG (1).png` it cannot read at all. What a key that holds a text or a path is given is
therefore quoted here, and so is whatever else Hydra cannot read as one value.
"""

import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser

from mmdiff.apps.compose import ConfigFolders
from mmdiff.apps.conf_tree import groups_of, root_keys
from mmdiff.apps.key_errors import meanings, parsed
from mmdiff.apps.key_types import OF_EVERY_VERB, TEXT_KEYS, is_text
from mmdiff.values.usage_error import UsageError, nearest

_INFO_CHOICES = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_ASSIGNMENT = re.compile(r"(?P<key>\+{0,2}[\w.]+)=(?P<value>.*)", re.DOTALL)
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_SWEEP = r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)"
# Hydra reads such a value as the same text, whatever the key.
_PLAIN = re.compile(r"(?!(?:true|false|null|nan|inf)$)[A-Za-z_/][\w/.-]*", re.ASCII | re.IGNORECASE)


def flags_and_overrides(
    words: Sequence[str], verb: str, keys: Mapping[str, Any]
) -> tuple[Namespace, list[str]]:
    """Split a command line into Hydra's flags, and overrides that mean themselves, in any order.

    keys: the root keys of the verb with their annotations.

    Raises UsageError for a flag that there is not.
    """
    parser = get_args_parser()
    parser.error = _wrong_flag  # type: ignore[method-assign]
    following = [*words, ""][1:]
    full = [
        f"{word}=all" if word in ("--info", "-i") and after not in _INFO_CHOICES else word
        for word, after in zip(words, following, strict=True)
    ]
    flags, unknown = parser.parse_known_intermixed_args(full)
    if unknown:  # `--seed 3` and `--seed=3` are what other tools take
        name, _, value = unknown[0].lstrip("-").replace("-", "_").partition("=")
        key = next((one for one in (name, *meanings(name)) if one in root_keys(verb)), "")
        known = [name for action in parser._actions for name in action.option_strings]
        near = f"{key}={value or 'VALUE'}" if key else nearest(unknown[0], known)
        raise UsageError(f"there is no flag {unknown[0]}", nearest=near)

    def is_text_key(key: str) -> bool | None:
        """None where it is not known: inside of components."""
        if key.rsplit(".", 1)[-1] in TEXT_KEYS:
            return True
        annotation = {**keys, **OF_EVERY_VERB}.get(key)
        known = None if annotation in (None, Any) else is_text(annotation)
        return False if key in groups_of(verb) else known

    return flags, [
        f"~{word.partition('=')[0]}"  # Hydra knows no other word for: no option of this group
        if word.endswith("=null") and word.partition("=")[0] in groups_of(verb)
        else _meant(word, is_text_key(typed_key(word)), is_sweep=flags.multirun)
        for word in flags.overrides
    ]


def typed_key(word: str) -> str:
    return word.partition("=")[0].lstrip("+")


def folders_of(flags: Namespace) -> ConfigFolders:
    given = (flags.config_path, flags.config_dir)
    return ConfigFolders(*(Path(path).expanduser() if path else None for path in given))


def first_of_sweeps(overrides: Sequence[str]) -> list[str]:
    """The overrides of the first job of a sweep: its faults are reported before any job runs."""
    first: list[str] = []
    for word in overrides:
        override = parsed(word)
        if override is not None and override.is_sweep_override():
            if not override.is_discrete_sweep() or "glob(" in word:
                continue
            word = f"{word.split('=', 1)[0]}={next(override.sweep_string_iterator())}"
        first.append(word)
    return first


def quoted(text: str) -> str:
    """A single-quoted string of Hydra's grammar that stands for exactly `text`."""
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + "\\'", text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return "'" + escaped + "\\" * trailing + "'"


def _meant(word: str, is_text: bool | None, *, is_sweep: bool) -> str:
    match = _ASSIGNMENT.fullmatch(word)
    if match is None or is_text is False or match["value"] == "":
        return word
    key, value = match["key"], match["value"]
    if is_sweep and re.fullmatch(_SWEEP, value, re.DOTALL):
        return word
    parts = _parts(value) if is_sweep and value[:1] not in "[{" else [value]
    return f"{key}={','.join(_written(part, key, is_text) for part in parts)}"


def _written(value: str, key: str, is_text: bool | None) -> str:
    """A value as Hydra must be given it."""
    if value == "null" or _PLAIN.fullmatch(value) or re.fullmatch(_QUOTED, value, re.DOTALL):
        return value
    read = None if is_text else parsed(f"key={value}")
    if read is not None and not read.is_sweep_override() and read.value() != value.strip():
        return value  # a number, a list, a mapping
    if not is_text and value[:1] + value[-1:] in ("[]", "{}"):
        return _with_quoted_items(value)
    # A prompt may hold "${": it means itself. In a path ${now:...} keeps its meaning.
    if key.rsplit(".", 1)[-1] in TEXT_KEYS:
        value = re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", value)
    return quoted(value)


def _with_quoted_items(value: str) -> str:
    """A list or a mapping with a text inside that Hydra cannot read."""
    if value[0] == "[":
        return f"[{','.join(_written(part, '', None) for part in _parts(value[1:-1]))}]"
    pairs = [pair.partition(":") for pair in re.split(r",(?=\s*[\w.]+\s*:)", value[1:-1])]
    items = (f"{name}:{_written(item.strip(), '', None)}" for name, _, item in pairs)
    return f"{{{','.join(items)}}}"


def _parts(value: str) -> list[str]:
    """What stands between the commas outside of quotes."""
    parts = re.findall(rf"\s*((?:{_QUOTED})(?=\s*(?:,|$))|[^,]*)\s*(?:,|$)", value, re.DOTALL)
    return [part.rstrip() for part in (parts[:-1] if len(parts) > 1 and not parts[-1] else parts)]


def _wrong_flag(message: str) -> NoReturn:
    raise UsageError(f"the flags cannot be read: {message}")
