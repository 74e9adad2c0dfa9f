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
_READ_FROM_SCALARS = (Fraction, complex, object)
_KEYWORD_KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


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
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    names = argument_names(target)
    hints = annotations(target)
    for name, value in arguments.items():
        key = f"{prefix}{name}"
        if name not in names:
            if takes_any:
                continue
            near = nearest(name, names)
            add = "" if near in arguments else "+"
            raise UsageError(
                f"{_name(target)} takes no argument {name!r}",
                got=f"{key}={shown(value)}",
                belongs=f"it takes {', '.join(names) or 'none'}",
                nearest=f"{add}{prefix}{near}={shown(value)}" if near else "",
            )
        annotation = hints.get(name, Any)
        is_default_none = value is None and parameters[name].default is None
        if not is_default_none and not fits(value, annotation):
            raise wrong_value(key, value, annotation)
    if not is_partial:
        _check_complete(target, arguments, names[num_positional:], prefix)


def _check_complete(
    target: Callable[..., Any], arguments: Mapping[str, Any], names: list[str], prefix: str
) -> None:
    parameters = inspect.signature(target).parameters
    required = [name for name in names if parameters[name].default is inspect.Parameter.empty]
    missing = [f"{prefix}{name}" for name in required if name not in arguments]
    if missing:
        raise UsageError(f"{_name(target)} needs {', '.join(missing)}", cure=f"+{missing[0]}=VALUE")


def argument_names(target: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(target).parameters
    return [name for name, p in parameters.items() if p.kind in _KEYWORD_KINDS]


def wrong_value(key: str, value: object, annotation: object) -> UsageError:
    choices = [str(choice) for choice in _choices(annotation)]
    if isinstance(value, list):
        members = [nearest(str(item), choices) for item in value]
        near = f"[{','.join(members)}]" if members and all(members) else ""
    else:
        near = nearest(str(value), choices)
        near = f"[{near}]" if near and not fits(near, annotation) else near
    return UsageError(
        f"{key} is {shown(value)}; possible is {described(annotation)}",
        got=f"{key}={shown(value)}",
        key=key,
        nearest=f"{key}={near}" if near else "",
    )


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
    if annotation in _SCALARS:
        return _is_scalar(value, annotation)
    return _fits_class(value, origin or annotation, inner)


def _is_scalar(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind


def _fits_class(value: object, kind: Any, inner: tuple[Any, ...]) -> bool:
    if not inspect.isclass(kind):
        return True
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping)
    if kind in (list, tuple, set, frozenset, Sequence, Iterable):
        if isinstance(value, str) or not isinstance(value, Sequence):
            return False
        if kind is tuple and inner and inner[-1] is not Ellipsis:
            return len(value) == len(inner) and all(map(fits, value, inner))
        return not inner or all(fits(item, inner[0]) for item in value)
    if kind in _READ_FROM_SCALARS:
        return value is not None
    if kind in (Path, PathLike):
        return isinstance(value, str)
    if isinstance(value, list) and not getattr(kind, "_is_protocol", False):
        return issubclass(list, kind)
    return value is not None and not isinstance(value, _SCALARS)


def described(annotation: Any) -> str:
    """An annotation in words for the user: `int or null`, `'video' or 'audio'`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return str(annotation.__metadata__[0])
    if annotation in (None, type(None)):
        return "null"
    if origin in (Union, types.UnionType):
        return " or ".join(described(option) for option in inner)
    if origin is Literal:
        return " or ".join(repr(option) for option in inner)
    if annotation is str:
        return "a text"
    if annotation is int:
        return "a whole number"
    if annotation is float:
        return "a number"
    if annotation is bool:
        return "true or false"
    if origin in (list, Sequence, Iterable, tuple) and inner:
        return f"a list of ({described(inner[0])})"
    return getattr(annotation, "__name__", str(annotation))


def shown(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, Mapping):
        return f"{{{value.get('_target_', '...')}}}"
    return repr(value) if isinstance(value, str) and not value.strip() else str(value)


def _choices(annotation: Any) -> list[object]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for option in get_args(annotation) for choice in _choices(option)]


def annotations(target: Callable[..., Any]) -> dict[str, Any]:
    constructor = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)  # type: ignore[misc]
    try:
        return get_type_hints(constructor, include_extras=True)
    except (NameError, TypeError, AttributeError):  # names that only a type checker sees
        raw = getattr(constructor, "__annotations__", {})
        return {name: hint for name, hint in raw.items() if not isinstance(hint, str)}


def _name(target: Callable[..., Any]) -> str:
    return getattr(target, "__name__", str(target))
