"""The constructor is the schema: arguments of a configuration against a signature."""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mmdiff.values.usage_error import UsageError, nearest

_SCALARS = (bool, int, float, str)
_LISTS = (list, tuple, set, frozenset, Sequence, Iterable)
_READ_FROM_SCALARS = (Fraction, complex, object)
_IN_WORDS: dict[Any, str] = {
    **{None: "null", type(None): "null", str: "a text", int: "a whole number"},
    **{float: "a number", bool: "true or false"},
}


def check_arguments(
    target: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    prefix: str = "",
    is_partial: bool = False,
    num_positional: int = 0,
) -> None:
    """Raise UsageError for an unknown argument, a missing one, or one of the wrong simple type."""
    parameters = inspect.signature(target).parameters
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    names, hints = argument_names(target), annotations(target)
    for name, value in arguments.items():
        if name in names:
            is_default_none = value is None and parameters[name].default is None
            if not is_default_none:
                check_value(f"{prefix}{name}", value, hints.get(name, Any))
        elif not takes_any:
            raise no_argument(target, f"{prefix}{name}", shown(value), arguments)
    needed = [] if is_partial else names[num_positional:]
    required = [name for name in needed if parameters[name].default is inspect.Parameter.empty]
    missing = [f"{prefix}{name}" for name in required if name not in arguments]
    if missing:
        raise UsageError(
            f"{target.__name__} needs {', '.join(missing)}", hint=f"+{missing[0]}=VALUE"
        )


def no_argument(
    target: Callable[..., Any], key: str, value: str, given: Iterable[str]
) -> UsageError:
    """For a key of a component that its constructor does not take.

    given: the arguments in the file; others are added by a +.
    """
    parent, dot, name = key.rpartition(".")
    names = argument_names(target)
    near = nearest(name, names)
    add = "" if near in given else "+"
    return UsageError(
        f"no key {key}: {target.__name__} takes no {name}",
        possible=", ".join(names),
        nearest=f"{add}{parent}{dot}{near}={value}" if near else "",
    )


def check_value(key: str, value: object, annotation: Any) -> None:
    """Raise UsageError unless the value can stand for a parameter so annotated."""
    if fits(value, annotation):
        return
    choices = [str(choice) for choice in _choices(annotation)]
    near = nearest(str(value[0]) if isinstance(value, list) and value else str(value), choices)
    near = near if not near or fits(near, annotation) else f"[{near}]"
    raise UsageError(
        f"{key} is {shown(value)}; possible is {described(annotation)}",
        nearest=f"{key}={near}" if near else "",
    )


def argument_names(target: Callable[..., Any]) -> list[str]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [name for name, p in inspect.signature(target).parameters.items() if p.kind in named]


def annotations(target: Callable[..., Any]) -> dict[str, Any]:
    """Of a constructor or a function, by the names of their arguments."""
    constructor = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)  # type: ignore[misc]
    try:
        return get_type_hints(constructor, include_extras=True)
    except (NameError, TypeError, AttributeError):  # names that only a type checker sees
        raw = getattr(constructor, "__annotations__", {})
        return {name: hint for name, hint in raw.items() if not isinstance(hint, str)}


def fits(value: object, annotation: Any) -> bool:
    """Whether a value of YAML can stand for a parameter so annotated; what is not simple fits."""
    if annotation in (Any, inspect.Parameter.empty) or isinstance(annotation, str):
        return True
    if isinstance(value, Mapping) and "_target_" in value:
        return annotation not in (*_SCALARS, None, type(None))
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return fits(value, inner[0])
    if annotation in (None, type(None)):
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, option) for option in inner)
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in inner)
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation in _SCALARS:
        return type(value) is annotation
    return _fits_class(value, origin or annotation, inner)


def _fits_class(value: object, cls: Any, inner: tuple[Any, ...]) -> bool:
    if not inspect.isclass(cls):
        return True
    if issubclass(cls, Mapping):
        return isinstance(value, Mapping)
    if cls in _LISTS:
        if isinstance(value, str) or not isinstance(value, Sequence):
            return False
        if cls is tuple and inner and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(fits, value, inner))
        return not inner or all(fits(item, inner[0]) for item in value)
    if cls in _READ_FROM_SCALARS:
        return value is not None
    if cls in (Path, PathLike):
        return isinstance(value, str)
    if isinstance(value, list) and not getattr(cls, "_is_protocol", False):
        return issubclass(list, cls)
    return value is not None and not isinstance(value, _SCALARS)


def described(annotation: Any) -> str:
    """An annotation in words for the user: `a whole number or null`, `'video' or 'audio'`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return str(annotation.__metadata__[0])
    if origin in (Union, types.UnionType):
        return " or ".join(map(described, inner))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in _LISTS and inner:
        return f"a list of ({described(inner[0])})"
    name: str = getattr(annotation, "__name__", str(annotation))
    return _IN_WORDS.get(annotation, name)


def shown(value: object) -> str:
    """A value as it is written in YAML."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Mapping):
        return f"{{{value.get('_target_', '...')}}}"
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)


def _choices(annotation: Any) -> list[object]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for option in get_args(annotation) for choice in _choices(option)]
