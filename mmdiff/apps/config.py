"""Plain configurations: checked against the constructors that they name, built, kept in a file.

Objects are built from nodes in this file and nowhere else, after every `_target_` has passed the
allow-list and every argument the signature of it.
"""

import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from mmdiff.apps.key_types import OF_EVERY_VERB, TEXT_KEYS
from mmdiff.apps.schema import argument_names, check_arguments
from mmdiff.apps.targets import ALLOWED, Allowed, allowed_for
from mmdiff.media.redaction import secret_in
from mmdiff.values.usage_error import UsageError, shortened

MOST = 2**63 - 1  # what an index of torch, and a count of Python's range, can be
MOST_BYTES, MOST_DEPTH = 2**18, 50  # of a resolved.yaml; ours have some ten thousand, and 8
_HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def check_nodes(value: object, key: str = "", *, allowed: Allowed = ALLOWED) -> None:
    """Check every node with a `_target_`: may it be called, and with these arguments?"""
    if isinstance(value, list):
        for index, item in enumerate(value):
            check_nodes(item, f"{key}[{index}]", allowed=allowed)
    if not isinstance(value, Mapping):
        return
    prefix = f"{key}." if key else ""
    for name in _in_order(value):
        check_nodes(value[name], f"{prefix}{name}", allowed=allowed)
    if "_target_" in value:
        check_arguments(
            allowed.target(value["_target_"], f"{prefix}_target_"),
            {name: item for name, item in value.items() if name not in _HYDRA_KEYS},
            prefix=prefix,
            is_partial=bool(value.get("_partial_", False)),
            num_positional=len(value.get("_args_") or ()),
        )


def check_values(value: object, key: str = "", *, is_ours: bool = True) -> None:
    """Raise UsageError for what no key means: NaN, infinity, a whole number that no machine word
    holds, and an empty text where no free text is asked for. An empty path is the folder that a
    command happens to run in.

    is_ours: False inside of components of other libraries, where an empty text may mean something.
    """
    if isinstance(value, Mapping):
        is_ours = str(value.get("_target_", "mmdiff.")).startswith("mmdiff.")
        for name in _in_order(value):
            check_values(value[name], f"{key}.{name}" if key else str(name), is_ours=is_ours)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_values(item, f"{key}[{index}]", is_ours=False)
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{key} is {value}; possible is a finite number")
    elif isinstance(value, int) and abs(value) > MOST:
        raise UsageError(f"{key} is {shortened(str(value), 60)}; possible is up to {MOST}")
    elif isinstance(value, str) and is_ours and not value.strip():
        if key.rsplit(".", 1)[-1] in TEXT_KEYS:
            return
        raise UsageError(f"{key} is empty: {value!r}", hint=f"give {key} a value, or leave it out")


def _in_order(mapping: Mapping[str, object]) -> list[str]:
    """Its keys, `module` last: that is made of other groups, and what is wrong in it is set
    there."""
    return sorted(mapping, key=lambda name: name == "module")


def instantiate(node: Mapping[str, Any], *, allowed: Allowed = ALLOWED, **arguments: object) -> Any:
    """Build what a node describes, after a check of the whole of it; `arguments` are added to those
    of the node.

    The grammar is that of Hydra's `instantiate`: `_target_`, `_partial_`, `_args_`, `_recursive_`.
    Unlike there, values mean themselves: `${...}` in a text is not resolved once more, so a
    configuration that was read from a file cannot ask for variables of the environment.

    Raises UsageError with the words of a constructor that refuses its arguments.
    """
    whole = {**node, **arguments}
    check_nodes(whole, allowed=allowed)
    return _build(whole, allowed)


def built(value: Any, allowed: Allowed = ALLOWED) -> Any:
    """The object that a node with a `_target_` describes, or those of a mapping or a list of nodes;
    every other value as it is."""
    if _is_node(value):
        return instantiate(value, allowed=allowed)
    if isinstance(value, Mapping) and any(map(_is_node, value.values())):
        return {name: built(item, allowed) for name, item in value.items()}
    if isinstance(value, list) and any(map(_is_node, value)):
        return [built(item, allowed) for item in value]
    return value


def checked_call(function: Callable[..., Any], config: Mapping[str, Any]) -> Any:
    """Call a verb's function with its root keys; nodes with a `_target_` arrive built."""
    allowed, names = allowed_for(config), argument_names(function)
    own = {key: one for key, one in config.items() if key in names or key not in OF_EVERY_VERB}
    check_arguments(function, own)
    check_nodes(config, allowed=allowed)
    return function(**{key: built(value, allowed) for key, value in own.items()})


def _is_node(value: object) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _build(value: Any, allowed: Allowed) -> Any:
    if isinstance(value, list):
        return [_build(item, allowed) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "_target_" not in value:
        return {key: _build(item, allowed) for key, item in value.items()}
    is_recursive = value.get("_recursive_", True)
    inner = partial(_build, allowed=allowed) if is_recursive else lambda item: item
    positional = [inner(item) for item in value.get("_args_") or ()]
    named = {key: inner(item) for key, item in value.items() if key not in _HYDRA_KEYS}
    target = allowed.target(value["_target_"])
    if value.get("_partial_", False):
        return partial(target, *positional, **named)
    try:
        return target(*positional, **named)
    except UsageError:
        raise
    except (ValueError, TypeError, OSError) as error:
        raise UsageError(str(error) or type(error).__name__) from error
    except _errors_of_libraries() as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        if "can't allocate memory" in line:
            raise UsageError(f"{target.__name__} does not fit into memory: {line}") from error
        if target.__module__.startswith("mmdiff."):
            raise  # a fault of ours keeps its traceback
        message = f"{target.__name__} cannot be built with these arguments: {line}"
        raise UsageError(message) from error


def _errors_of_libraries() -> tuple[type[Exception], ...]:
    """What constructors of torch, diffusers and Lightning raise for arguments that are none."""
    errors: list[type[Exception]] = [RuntimeError, ArithmeticError, AssertionError]
    errors += [AttributeError, LookupError, ImportError]
    module = sys.modules.get("lightning.fabric.utilities.exceptions")
    return (*errors, module.MisconfigurationException) if module else tuple(errors)


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def load_resolved(path: Path) -> dict[str, Any]:
    """Read a `resolved.yaml` that `save_resolved` wrote: plain values, no tags, no resolvers.

    Raises UsageError for what is none. An alias (`*name`) is refused: with a few of them a small
    file holds itself, or billions of values.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes")
        text = path.read_text(encoding="utf-8")
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > MOST_DEPTH:
                raise ValueError("it refers to itself, or is nested without end")
        plain = yaml.safe_load(text)
        if not isinstance(plain, dict):
            raise ValueError(f"a {type(plain).__name__}, not a configuration")
    except (ValueError, yaml.YAMLError) as error:
        reason = shortened(" ".join(str(error).split()))
        raise UsageError(
            f"{path} is not readable as plain YAML ({reason}); take the one that the run wrote"
        ) from error
    return plain


def save_resolved(config: Mapping[str, Any], folder: Path) -> Path:
    """Write the resolved configuration into a run folder, atomically.

    Raises UsageError, and writes nothing, where a value is a secret of the environment.
    """
    from mmdiff.media.atomic import atomic_write

    _check_no_secret(config)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "resolved.yaml"
    text = yaml.dump(dict(config), Dumper=_WithoutAliases, sort_keys=False, allow_unicode=True)
    with atomic_write(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
    return path


def _check_no_secret(value: Any, key: str = "") -> None:
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_no_secret(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_no_secret(item, f"{key}[{index}]")
    elif isinstance(value, str) and (variable := secret_in(value)):
        raise UsageError(
            f"{key} holds the value of the environment variable {variable}, and configurations are "
            "written to disk",
            hint=f"leave {key} out: the libraries read {variable} from the environment themselves",
        )
