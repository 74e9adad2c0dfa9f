"""From the words of a shell to what Hydra's parser takes.

Hydra reads `prompt=a ball, a ping: "high"` as a sweep over two values and stumbles over the colon;
`image=IMG (1).png` it cannot read at all. A key that holds a text or a path is therefore quoted
here, so that its value means itself; every other key keeps Hydra's own grammar.
"""

import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

from hydra import compose
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmdiff.__main__ import VERBS
from mmdiff.apps.compose import ConfigFolders
from mmdiff.apps.key_kinds import (
    TEXT_KEYS,
    holds_path,
    is_mapping,
    is_sequence,
    kind_of,
    options_of_kind,
    quoted,
    root_kinds,
)
from mmdiff.apps.known_keys import configuration_folder, groups_of
from mmdiff.apps.other_names import meanings
from mmdiff.apps.signature import fits
from mmdiff.values.usage_error import UsageError, nearest

_INFO = ("--info", "-i")
_INFO_CHOICES = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_ASSIGNMENT = re.compile(r"(?P<key>\+{0,2}[\w.]+)=(?P<value>.*)", re.DOTALL)
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
# Hydra reads such a value as the same text, whatever the key.
_PLAIN = re.compile(r"(?!(?:true|false|null|nan|inf)$)[A-Za-z_/][\w/.-]*", re.ASCII | re.IGNORECASE)
_SWEEP = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)


def flags_and_overrides(
    words: Sequence[str], verb: str | None = None
) -> tuple[Namespace, list[str]]:
    """Split a command line into Hydra's flags, and overrides that mean themselves, in any order.

    verb: whose keys they are; None: of whichever verb has them.

    Raises UsageError for a flag that there is not.
    """
    parser = get_args_parser()
    parser.error = _wrong_flag  # type: ignore[method-assign]
    following = [*words, ""][1:]
    full = [
        f"{word}=all" if word in _INFO and after not in _INFO_CHOICES else word
        for word, after in zip(words, following, strict=True)
    ]
    flags, unknown = parser.parse_known_intermixed_args(full)
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings]
        raise _unknown_flag(unknown[0], known, root_kinds(verb) if verb else {})
    kinds = _Kinds(flags, verb)
    return flags, [_meant(word, kinds, is_sweep=flags.multirun) for word in flags.overrides]


def folders_of(flags: Namespace) -> ConfigFolders:
    given = (flags.config_path, flags.config_dir)
    return ConfigFolders(*(Path(path).expanduser() if path else None for path in given))


def first_of_sweeps(overrides: Sequence[str]) -> list[str]:
    """The overrides of the first job of a sweep: its faults are told before any job runs."""
    parser = OverridesParser.create()
    first: list[str] = []
    for word in overrides:
        try:
            override = parser.parse_override(word)
        except HydraException:
            first.append(word)  # said better when it is composed
            continue
        if override.is_sweep_override():
            if not override.is_discrete_sweep() or "glob(" in word:
                continue
            value = next(override.sweep_string_iterator())
            word = f"{word.split('=', 1)[0]}={value}"
        first.append(word)
    return first


class _Kinds:
    """What the keys of one command line hold, by the groups that it chooses."""

    def __init__(self, flags: Namespace, verb: str | None) -> None:
        self.verbs = [verb] if verb else list(VERBS)
        self.configs: dict[str, Mapping[str, Any]] = {}
        self.name, self.folders = flags.config_name, folders_of(flags)
        self.choices = first_of_sweeps([word for word in flags.overrides if self._chooses(word)])

    def of(self, key: str) -> Any:
        for verb in self.verbs:
            roots = root_kinds(verb)
            if key.split(".")[0] in roots or "." in key:
                if "." in key and verb not in self.configs:
                    self.configs[verb] = self._composed(verb)
                kind = kind_of(key, self.configs.get(verb, {}), roots)
                if kind is not Any:
                    return kind
        return Any

    def _composed(self, verb: str) -> Mapping[str, Any]:
        try:
            with self.folders.hydra(verb):
                config = compose(self.name or verb, self.choices)
        except (HydraException, OmegaConfBaseException):  # told when all of it is composed
            return {}
        plain: Any = OmegaConf.to_container(config, resolve=False)
        return plain

    def _chooses(self, word: str) -> bool:
        key, _, value = word.lstrip("+").partition("=")
        if key.endswith("._target_"):
            return True
        group = key.split("@")[0]
        places = (configuration_folder(), self.folders.main, self.folders.extra)
        is_group = any(place is not None and (place / group).is_dir() for place in places)
        return is_group and bool(value) and not word.startswith("~")


def _meant(word: str, kinds: _Kinds, *, is_sweep: bool) -> str:
    match = _ASSIGNMENT.fullmatch(word)
    if match is None:
        return word
    key, value = match["key"].lstrip("+"), match["value"]
    if value == "null" and any(match["key"] in groups_of(verb) for verb in kinds.verbs):
        return f"~{key}"  # Hydra knows no other word for: no option of this group
    if value in ("", "null") or _PLAIN.fullmatch(value) or (is_sweep and _SWEEP.fullmatch(value)):
        return word
    kind = str if key.rsplit(".", 1)[-1] in TEXT_KEYS else kinds.of(key)
    parts = _parts(value) if is_sweep and not value.startswith(("[", "{")) else [value]
    return f"{match['key']}={','.join(_written(part, key, kind) for part in parts)}"


def _written(value: str, key: str, kind: Any) -> str:
    """A value as Hydra must be given it, so that it is what the kind of its key takes."""
    options = list(options_of_kind(kind))
    if value == "null" or re.fullmatch(_QUOTED, value, re.DOTALL):
        return value
    found, ends, inside = _read_by_hydra(value), value[:1] + value[-1:], value[1:-1]
    if isinstance(found, (list, dict)):
        if any(fits(found, option) for option in options if not holds_path(option)):
            return value
    elif isinstance(found, (bool, int, float)) and {type(found), Fraction} & set(options):
        return value
    if ends == "{}" and any(map(is_mapping, options)):
        pairs = [pair.partition(":") for pair in re.split(r",(?=\s*[\w.]+\s*:)", inside)]
        return "{" + ",".join(f"{name}:{_item(item)}" for name, _, item in pairs) + "}"
    if ends == "[]" and any(map(is_sequence, options)):
        return "[" + ",".join(map(_item, _parts(inside))) + "]"
    if str not in options and not holds_path(kind):
        return value
    # A prompt may hold "${": it means itself. In a path ${now:...} keeps its meaning.
    is_prompt = key.rsplit(".", 1)[-1] in TEXT_KEYS
    return quoted(_without_interpolation(value) if is_prompt else value)


def _item(value: str) -> str:
    """A value in a list or a mapping that Hydra could not read as it is."""
    value = value.strip()
    if isinstance(_read_by_hydra(value), (int, float, dict)):
        return value
    return quoted(_unquoted(value))


def _parts(value: str) -> list[str]:
    """What stands between the commas outside of quotes."""
    parts = re.findall(rf"\s*((?:{_QUOTED})(?=\s*(?:,|$))|[^,]*)\s*(?:,|$)", value, re.DOTALL)
    return [part.rstrip() for part in (parts[:-1] if len(parts) > 1 and not parts[-1] else parts)]


def _read_by_hydra(value: str) -> object:
    """What Hydra's grammar makes of a value; None where it cannot read it."""
    try:
        return OverridesParser.create().parse_override(f"key={value}").value()
    except HydraException:
        return None


def _unquoted(value: str) -> str:
    found = _read_by_hydra(value) if re.fullmatch(_QUOTED, value, re.DOTALL) else value
    return str(found)


def _without_interpolation(text: str) -> str:
    return re.sub(r"(\\*)\$\{", lambda match: match[1] * 2 + "\\${", text)


def _unknown_flag(flag: str, known: Sequence[str], keys: Mapping[str, Any]) -> UsageError:
    """`--seed 3` and `--seed=3` are what other tools take."""
    name, _, value = flag.lstrip("-").replace("-", "_").partition("=")
    key = next((key for key in (name, *meanings(name)) if key in keys), "")
    near = f"{key}={value or 'VALUE'}" if key else nearest(flag, known)
    return UsageError(f"there is no flag {flag}", nearest=near)


def _wrong_flag(message: str) -> NoReturn:
    raise UsageError(f"the flags cannot be read: {message}")
