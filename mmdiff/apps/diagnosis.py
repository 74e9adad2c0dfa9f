"""Why Hydra could not compose: the one wrong override, where it belongs, what is nearest."""

import re
from collections.abc import Callable, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmdiff.apps.known_keys import (
    elsewhere,
    groups,
    groups_of,
    home_of,
    leaves,
    nearest_key,
    options,
    options_of,
    roots,
)
from mmdiff.apps.signature import argument_names
from mmdiff.apps.targets import resolve_target
from mmdiff.apps.usage_error import UsageError, nearest

Compose = Callable[..., DictConfig]


def diagnosed(
    error: Exception, *, verb: str, overrides: Sequence[str], compose: Compose
) -> UsageError:
    """The UsageError behind an error of Hydra, found by trying the overrides one by one."""
    parser = OverridesParser.create()
    parsed: list[Override] = []
    for word in overrides:
        try:
            parsed.append(parser.parse_override(word))
        except HydraException:
            return _unreadable(word)
    for override in parsed:
        if override.is_sweep_override():
            return _sweep(override, verb)
    selections = [override for override in parsed if _selects_group(override)]
    for override in selections:
        unknown = _foreign_group(override, verb) or _unknown_option(override, verb)
        if unknown is not None:
            return unknown
    good = [_line(override) for override in selections]
    for override in parsed:
        if override not in selections and _fails(compose, verb, [*good, _line(override)]):
            return _unknown_key(override, verb=verb, config=_plain(compose, verb, good))
    return UsageError(_first_line(error), got=" ".join(overrides))


def check_additions(
    parsed: Sequence[Override], config: DictConfig, *, verb: str, choices: Mapping[str, str]
) -> None:
    """Refuse `+key=value` where nothing would read it: outside of every `_target_`."""
    for override in parsed:
        key = override.key_or_group
        is_group = key in groups() or key.split("@")[0] in groups()
        if not (override.is_add() or override.is_force_add()) or is_group:
            continue
        parts = key.split(".")
        # A component that is added to others, +callbacks.mine={_target_: ...}, is a parent as well.
        parents = [".".join(parts[:length]) for length in range(1, len(parts) + (len(parts) > 1))]
        nodes = [OmegaConf.select(config, parent) for parent in parents]
        if any(isinstance(node, DictConfig) and "_target_" in node for node in nodes):
            continue
        if key.startswith("hydra.") or (override.is_force_add() and _is_of(key, verb)):
            continue
        near = nearest_key(key, {k: v for k, v in leaves(config).items() if k != key})
        raise UsageError(
            f"+{key} adds a key that nothing reads",
            got=_line(override),
            belongs=elsewhere(key) if not _is_of(key, verb) else f"conf/{verb}.yaml",
            nearest=near,
            cure="`+` is for arguments of a component: +scheduler.argument=value",
        )


def _is_of(key: str, verb: str) -> bool:
    from mmdiff.apps.known_keys import configuration_folder

    config = OmegaConf.load(configuration_folder() / f"{verb}.yaml")
    return isinstance(config, DictConfig) and OmegaConf.select(config, key) is not None


def unresolved(error: OmegaConfBaseException, config: DictConfig, verb: str) -> UsageError:
    """The UsageError for a value that is missing or interpolates what is not there, or
    of a resolver."""
    causes: list[BaseException | None] = [error]
    while causes[-1] is not None:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    if own := next((cause for cause in causes if isinstance(cause, UsageError)), None):
        return own
    key = str(getattr(error, "full_key", "") or "")
    known = leaves(config)
    value = str(known.get(key, ""))
    names = re.findall(r"\$\{([\w.]+)\}", value)
    wrong = next((name for name in names if name not in known), "")
    near = nearest_key(wrong, {k: v for k, v in known.items() if k != key}) if wrong else ""
    return UsageError(
        f"{key or 'a value'} cannot be resolved: {_first_line(error)}",
        key=key,
        got=f"{key}={value}" if value else "",
        nearest=f"${{{near}}}" if near else "",
        cure=f"mmdiff {verb} {key}=VALUE" if value == "???" else "",
    )


def _unreadable(word: str) -> UsageError:
    name = word.split("=", 1)[0]
    if "=" not in word:
        cure = f'prompt="{word}"' if " " in word else f"{word}=VALUE"
        return UsageError(f"{word!r} is not key=value: the = is missing", got=word, cure=cure)
    if word.rstrip().endswith(","):
        without = word.rstrip(" ,")
        return UsageError(f"the value of {name!r} cannot be read", got=word, cure=without)
    return UsageError(
        f"the value of {name!r} cannot be read",
        got=word,
        cure=f"close every bracket and quote; text with , : or {{}} needs quotes inside the "
        f"shell's: '{name}=\"...\"'",
    )


def _sweep(override: Override, verb: str) -> UsageError:
    return UsageError(
        f"{override.key_or_group} got several values",
        got=_line(override),
        cure=f"a list is written [1,2]; several runs are asked for with: "
        f"mmdiff {verb} -m {_line(override)}",
    )


def _selects_group(override: Override) -> bool:
    return override.key_or_group in groups() and "." not in override.key_or_group


def _foreign_group(override: Override, verb: str) -> UsageError | None:
    """A group of the tree that this verb does not have."""
    group = override.key_or_group
    if override.is_add() or override.package or group in groups_of(verb):
        return None
    others = [f"mmdiff {other}" for other in roots() if group in groups_of(other)]
    return UsageError(
        f"mmdiff {verb} has no group {group}",
        got=_line(override),
        belongs=f"{group} is a group of {' and '.join(others)}" if others else "",
        nearest=nearest(group, groups_of(verb)),
    )


def _unknown_option(override: Override, verb: str) -> UsageError | None:
    group = override.key_or_group
    value = override.value()
    known = options_of(verb, group)
    if isinstance(value, list):
        value = next((one for one in value if str(one) not in known), None)
    if value is None or override.is_delete() or str(value) in known:
        return None
    if str(value) in options(group):
        verbs = [
            other
            for other in roots()
            if group in groups_of(other) and str(value) in options_of(other, group)
        ]
        return UsageError(
            f"{group}={value!s} is not for mmdiff {verb}",
            got=_line(override),
            belongs=f"mmdiff {verb} takes {', '.join(known)}",
            cure=" or ".join(f"mmdiff {other} {group}={value!s}" for other in verbs),
        )
    near = nearest(str(value), known)
    return UsageError(
        f"the group {group} has no option {value!s}",
        got=_line(override),
        belongs=f"conf/{group}/: {', '.join(known)}",
        nearest=f"{group}={near}" if near else "",
    )


def _unknown_key(override: Override, *, verb: str, config: DictConfig) -> UsageError:
    key = override.key_or_group
    choices = {
        str(group): str(option)
        for group, option in config.hydra.runtime.choices.items()
        if option is not None
    }
    known = {name: value for name, value in leaves(config).items() if name.split(".")[0] != "hydra"}
    if key in known:
        return UsageError(
            f"{key} cannot be set so", got=_line(override), belongs=f"it is {known[key]!s} now"
        )
    if key.split(".")[0] in groups() and key.split(".")[0] not in config:
        group = key.split(".")[0]
        return UsageError(
            f"{key} belongs to the group {group}, and no option of it is selected",
            got=_line(override),
            belongs=f"conf/{group}/: {', '.join(options(group))}",
            cure=f"mmdiff {verb} {group}={options(group)[0]} {_line(override)}",
        )
    argument = _argument_of_component(override, config)
    if argument is not None:
        return argument
    near = nearest_key(key, known)
    is_group = near in groups() and known.get(near, "...") == "..."
    home = f"conf/{near}/" if is_group else home_of(near, verb=verb, choices=choices)
    other = elsewhere(key)
    belongs = other or (f"{near} is in {home}" if near else f"the keys are in conf/{verb}.yaml")
    if is_group:
        belongs = f"{near} is a group: {', '.join(options(near))}"
    return UsageError(
        f"there is no key {key!r}", got=_line(override), belongs=belongs, nearest=near
    )


def _argument_of_component(override: Override, config: DictConfig) -> UsageError | None:
    """`scheduler.shft`: what the component at `scheduler` takes, from its constructor."""
    parent, _, name = override.key_or_group.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else None
    if not isinstance(node, DictConfig) or "_target_" not in node:
        return None
    target = resolve_target(node["_target_"], key=f"{parent}._target_")
    names = argument_names(target)
    if name in names:
        return UsageError(
            f"{override.key_or_group} is at its default and not in the file",
            got=_line(override),
            cure=f"+{_line(override)}",
        )
    near = nearest(name, names)
    return UsageError(
        f"{target.__name__} takes no argument {name!r}",
        got=_line(override),
        belongs=f"it takes {', '.join(names)}",
        nearest=f"{parent}.{near}" if near else "",
    )


def _line(override: Override) -> str:
    return str(override.input_line)


def _fails(compose: Compose, verb: str, overrides: list[str]) -> bool:
    try:
        compose(verb, overrides, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException):
        return True
    return False


def _plain(compose: Compose, verb: str, overrides: list[str]) -> DictConfig:
    return compose(verb, overrides, return_hydra_config=True)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
