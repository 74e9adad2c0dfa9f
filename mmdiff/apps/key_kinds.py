"""What a key holds, from the annotation of what reads it: a number, a text, a path, a list.

A key is read by the constructor that its node names, or, at the root, by the function of the verb.
"""

import inspect
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from hydra.conf import HydraConf

from mmdiff.__main__ import VERBS, module_of
from mmdiff.apps.signature import annotations
from mmdiff.apps.targets import resolve_target
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError

# What they hold is read by a model: ${ and an empty text mean themselves.
TEXT_KEYS = ("prompt", "negative_prompt")


def root_kinds(verb: str) -> Mapping[str, Any]:
    """The annotations of the root keys of a verb, and of Hydra's own."""
    reader: Callable[..., Any] | None = None
    if verb in VERBS:
        reader = import_module(module_of(verb)).READER
    everywhere = {"output_dir": Path, "paths": dict[str, Path], "hydra": HydraConf}
    return {**(annotations(reader) if reader else {}), **everywhere}


def kind_of(key: str, config: Mapping[str, Any], roots: Mapping[str, Any]) -> Any:
    """The annotation of a dotted key of a configuration; Any where nothing is said of it."""
    value: Any = config
    kind: Any = Any
    kinds: Mapping[str, Any] = roots
    for part in key.split("."):
        kind = kinds[part] if part in kinds else _of_items(kind)
        value = value.get(part) if isinstance(value, Mapping) else None
        kinds = _inner_kinds(value, kind)
    return kind


def options_of_kind(kind: Any) -> Iterator[Any]:
    """What a union allows, each by itself."""
    if get_origin(kind) in (Union, types.UnionType):
        for option in get_args(kind):
            yield from options_of_kind(option)
    else:
        yield kind


def holds_path(kind: Any) -> bool:
    """Whether a path is among what a kind allows."""
    options = options_of_kind(kind)
    return any(
        option in (Path, FilePath) or PathLike in (option, get_origin(option)) for option in options
    )


def is_mapping(kind: Any) -> bool:
    return inspect.isclass(get_origin(kind)) and issubclass(get_origin(kind), Mapping)


def is_sequence(kind: Any) -> bool:
    return get_origin(kind) in (list, tuple, Sequence, Iterable)


def with_home(value: Any, kind: Any, kinds: Mapping[str, Any] | None = None) -> Any:
    """A plain configuration with ~ as the home folder in all that holds a path."""
    if isinstance(value, str):
        return str(Path(value).expanduser()) if value[:1] == "~" and holds_path(kind) else value
    if isinstance(value, list):
        return [with_home(item, _of_items(kind)) for item in value]
    if not isinstance(value, Mapping) or "~" not in str(value):
        return value
    kinds = _inner_kinds(value, kind) if kinds is None else kinds
    return {
        name: with_home(item, kinds.get(str(name), _of_items(kind))) for name, item in value.items()
    }


def quoted(text: str) -> str:
    """A single-quoted string of Hydra's grammar that stands for exactly `text`."""
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + "\\'", text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return "'" + escaped + "\\" * trailing + "'"


def _inner_kinds(value: Any, kind: Any) -> Mapping[str, Any]:
    target = value.get("_target_") if isinstance(value, Mapping) else None
    if target is not None:
        try:
            return annotations(resolve_target(target))
        except (UsageError, ImportError):  # said where the node is checked
            return {}
    return annotations(kind) if inspect.isclass(kind) and is_dataclass(kind) else {}


def _of_items(kind: Any) -> Any:
    """The kind of the values of a mapping, or of the items of a list."""
    for option in options_of_kind(kind):
        if is_mapping(option):
            return get_args(option)[1]
        if is_sequence(option):
            return get_args(option)[0]
    return Any
