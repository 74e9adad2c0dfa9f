"""What a key holds, from the annotation of what reads it: a number, a text, a path, a list.

A key is read by the constructor that its node names, or, at the root, by the function of the verb.
"""

import inspect
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from mmdiff.apps.schema import annotations
from mmdiff.apps.targets import allowed_for
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError

# What they hold is read by a model: ${ and an empty text mean themselves.
TEXT_KEYS = ("prompt", "negative_prompt")
# Root keys of every verb, which the command line reads and no function of a verb has to take.
OF_EVERY_VERB = {"output_dir": Path, "paths": dict[str, Path], "trust_modules": list[str]}


def options_of_type(annotation: Any) -> Iterator[Any]:
    """What a union allows, each by itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from options_of_type(option)
    else:
        yield annotation


def holds_path(annotation: Any) -> bool:
    """Whether a path is among what an annotation allows."""
    return any(
        option in (Path, FilePath) or PathLike in (option, get_origin(option))
        for option in options_of_type(annotation)
    )


def is_text(annotation: Any) -> bool:
    """Whether a text or a path is allowed, and no number that could be written alike."""
    options = {option for option in options_of_type(annotation) if option in (str, int, float)}
    return options == {str} or (holds_path(annotation) and options <= {str})


def with_texts(
    config: Mapping[str, Any], keys: Mapping[str, Any], typed: Mapping[str, str]
) -> dict[str, Any]:
    """A plain configuration in which ~ is the home folder where a path is asked for, and a number
    that was typed is its text where a text is: `data.root=2024`, `image=1e3`.

    keys: the root keys with their annotations. typed: what stands behind the keys of the command
    line.
    """

    def read(value: Any, annotation: Any, key: str) -> Any:
        if isinstance(value, str):
            is_home = value[:1] == "~" and holds_path(annotation)
            return str(Path(value).expanduser()) if is_home else value
        if isinstance(value, (bool, int, float)):
            return typed[key] if key in typed and is_text(annotation) else value
        if isinstance(value, list):
            return [read(item, _item_type(annotation), "") for item in value]
        is_inside = any(one.startswith(f"{key}.") for one in typed)
        if not isinstance(value, Mapping) or not (is_inside or "~" in str(value)):
            return value
        inner, item = _arguments(value, config), _item_type(annotation)
        return {
            name: read(one, inner.get(str(name), item), f"{key}.{name}")
            for name, one in value.items()
        }

    roots = {**keys, **OF_EVERY_VERB}
    return {name: read(value, roots.get(name, Any), name) for name, value in config.items()}


def _arguments(node: Mapping[str, Any], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The annotations of what a node builds."""
    try:
        target = node.get("_target_")
        return {} if target is None else annotations(allowed_for(config).target(target))
    except (UsageError, ImportError):  # reported where the node is checked
        return {}


def _item_type(annotation: Any) -> Any:
    """That of the values of a mapping, or of the items of a list."""
    for option in options_of_type(annotation):
        origin = get_origin(option)
        if inspect.isclass(origin) and issubclass(origin, Mapping):
            return get_args(option)[1]
        if origin in (list, tuple, Sequence, Iterable):
            return get_args(option)[0]
    return Any
