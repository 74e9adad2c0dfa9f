"""Why Hydra could not compose: the one wrong override, where it belongs, what is nearest."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmdiff.apps.key_kinds import quoted, root_kinds
from mmdiff.apps.known_keys import (
    chosen_options,
    elsewhere,
    groups,
    groups_of,
    home_of,
    keys_of_files,
    leaves,
    nearest_key,
    options,
    options_of,
    roots,
    taken_in,
)
from mmdiff.apps.other_names import meanings
from mmdiff.apps.signature import argument_names
from mmdiff.apps.targets import resolve_target
from mmdiff.values.usage_error import UsageError, nearest

Compose = Callable[..., DictConfig]
_CLOSING = {"[": "]", "{": "}", "(": ")", "'": "'", '"': '"'}


def diagnosed(
    error: Exception, *, verb: str, overrides: Sequence[str], compose: Compose
) -> UsageError:
    """The UsageError behind an error of Hydra, found by trying the overrides one by one."""
    parsed = {word: _parsed(word) for word in overrides}
    readable = [one for one in parsed.values() if one and not one.is_sweep_override()]
    selections = [override for override in readable if _selects_group(override)]
    for override in selections:
        unknown = _foreign_group(override, verb) or _unknown_option(override, verb)
        if unknown is not None:
            return unknown
    good = [_line(override) for override in selections]

    def composes(words: Sequence[str]) -> bool:
        try:
            compose(verb, [*good, *map(_readable, words)], return_hydra_config=True)
        except (HydraException, OmegaConfBaseException, ValueError):
            return False
        return True

    for word, override in parsed.items():
        is_assignment = "=" in word or word.startswith("~")
        if is_assignment and word not in good and not composes([word]):
            config = compose(verb, good, return_hydra_config=True)
            return _unknown_key(word, verb=verb, config=config, composes=composes)
        if override is None:
            return _unreadable(word, verb)
        if override.is_sweep_override():
            return _sweep(override, verb)
    return UsageError(_first_line(error), got=" ".join(overrides))


def _parsed(word: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException:
        return None


def _readable(word: str) -> str:
    """An override with its value as a text, where Hydra cannot read it or takes it for several."""
    key, equals, value = word.partition("=")
    override = _parsed(word)
    is_good = override is not None and not override.is_sweep_override()
    return word if is_good or not equals else f"{key}={quoted(value)}"


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
        known = {k: v for k, v in leaves(config).items() if k != key and v != "..."}
        near = key if _is_of(key, verb) else nearest(key, known)
        raise UsageError(
            f"+{key} adds a key that nothing reads; `+` is for arguments of a component",
            got=_line(override),
            belongs=elsewhere(key),
            nearest=f"{near}={_line(override).partition('=')[2]}" if near else "",
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
        nearest=f"{key}={value.replace(wrong, near)}" if near else "",
        cure=f"mmdiff {verb} {key}=VALUE" if value == "???" else "",
    )


def _unreadable(word: str, verb: str) -> UsageError:
    name = word.split("=", 1)[0]
    if "=" not in word:
        known = root_kinds(verb)
        key = name if name in known else (*(k for k in meanings(name) if k in known), "")[0]
        cure = f"{key or nearest(name, known)}=VALUE"
        if " " in word:
            cure = f'prompt="{word}"' if "prompt" in known else ""
        problem = f"{word!r} is not key=value: the = is missing"
        return UsageError(problem, got=word, cure=cure if cure[:1] != "=" else "")
    closing = "".join(_CLOSING[sign] for sign in reversed(word) if sign in _CLOSING)
    tries = (word.rstrip(" ,"), *(word + closing[:count] for count in range(1, len(closing) + 1)))
    cure = next((one for one in tries if one != word and _parsed(one)), "")
    return UsageError(
        f"the value of {name!r} cannot be read",
        got=word,
        belongs="" if cure else "close every bracket and every quote",
        cure=cure,
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
        nearest=_same_option(override, nearest(group, groups_of(verb)), verb),
    )


def _same_option(override: Override, group: str, verb: str) -> str:
    option = str(override.value())
    return f"{group}={option}" if group and option in options_of(verb, group) else ""


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
    keys = [] if near else [key for key in meanings(group) if key in root_kinds(verb)]
    return UsageError(
        f"the group {group} has no option {value!s}",
        got=_line(override),
        belongs=f"conf/{group}/: {', '.join(known)}",
        nearest=f"{group}={near}" if near else f"{keys[0]}={value!s}" if keys else "",
    )


def _unknown_key(
    word: str, *, verb: str, config: DictConfig, composes: Callable[[list[str]], bool]
) -> UsageError:
    key = re.split("[=@]", word.lstrip("~+"), maxsplit=1)[0]
    known = {name: value for name, value in leaves(config).items() if name.split(".")[0] != "hydra"}
    if key in known:
        near = word.lstrip("+") if word[:1] == "+" else ""
        said = f"it is {known[key]!s} now"
        return UsageError(f"{key} cannot be set so", got=word, belongs=said, nearest=near)
    group = key.split(".")[0]
    argument = _argument_of_component(key, word, config)
    if argument is not None:
        return argument
    meant = next((words for words in _meant(key, word, verb, known) if composes(words)), [])
    problem, belongs = f"there is no key {key!r}", elsewhere(key)
    if group in groups() and group not in config and "." in key:
        problem = f"{key} belongs to the group {group}, and no option of it is selected"
        belongs = f"conf/{group}/: {', '.join(options_of(verb, group))}"
    elif meant:
        name = re.split("=", meant[-1].lstrip("~+"), maxsplit=1)[0]
        chosen = dict(word.split("=", 1) for word in meant[:-1])
        home = home_of(name, verb=verb, choices={**chosen_options(config), **chosen})
        belongs = f"{name} is in {home}"
        if name in groups():
            belongs = f"{name} is a group: {', '.join(options_of(verb, name))}"
    if len(meant) > 1:
        return UsageError(problem, got=word, belongs=belongs, cure=_command(verb, meant))
    belongs = belongs or f"the keys are in conf/{verb}.yaml"
    return UsageError(problem, got=word, belongs=belongs, nearest=" ".join(map(_typed, meant)))


def _meant(key: str, word: str, verb: str, known: Mapping[str, object]) -> Iterator[list[str]]:
    """Overrides that may have been meant by one whose key is not there, the likeliest first."""
    value, is_delete = word.partition("=")[2], word.startswith("~")
    ending = key.rsplit(".", 1)[-1]
    settable = {name: now for name, now in known.items() if now != "..." or name in groups_of(verb)}
    places = {name: file for name, file in keys_of_files().items() if _group_of(file, verb)}
    alike = [name for name in settable if name.rsplit(".", 1)[-1] == ending]
    alike.sort(key=lambda name: (name.split(".")[0] != key.split(".")[0], name.count(".")))
    elsewhere = sorted((name for name in places if name.rsplit(".", 1)[-1] == ending), key=len)
    in_group = [name for name in places if name.startswith(f"{key.split('.')[0]}.")]
    names = [
        *(name for name in (key,) if name in places),
        *meanings(key),
        *alike,
        nearest(key, in_group),
        nearest_key(key, settable),
        *elsewhere,
        *meanings(ending),
    ]
    for name in filter(None, dict.fromkeys(names)):
        if is_delete:
            yield from ([f"~{name}"], [f"{name}=null"])  # Hydra does not delete what is null
            continue
        yield [f"{name}={value}"]
        if name in places:
            yield [_group_of(places[name], verb), f"{name}={value}"]


def _group_of(file: str, verb: str) -> str:
    """`guidance=clip` for conf/guidance/clip.yaml, where the verb has the group."""
    group, _, option = file.removeprefix("conf/").removesuffix(".yaml").partition("/")
    if option[:1] == "_":  # what several options share
        option = next(
            (name for name in options_of(verb, group) if option in taken_in(group, name)), ""
        )
    return (
        f"{group}={option}"
        if group in groups_of(verb) and option in options_of(verb, group)
        else ""
    )


def _typed(word: str) -> str:
    """A word as it is typed in a shell."""
    return word if word.startswith("~") else shlex.quote(word)


def _command(verb: str, words: Sequence[str]) -> str:
    return f"mmdiff {verb} {shlex.join(words)}"


def _argument_of_component(key: str, word: str, config: DictConfig) -> UsageError | None:
    """`scheduler.shft`: what the component at `scheduler` takes, from its constructor."""
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else None
    if not isinstance(node, DictConfig) or "_target_" not in node:
        return None
    target = resolve_target(node["_target_"], key=f"{parent}._target_")
    names, value = argument_names(target), word.partition("=")[2]
    if name in names:
        problem = f"{key} is at its default and not in the file"
        return UsageError(problem, got=word, cure=f"+{word}")
    # a key of before leads to the one of now
    meant = next((one.rpartition(".")[2] for one in meanings(key)), "")
    near = meant if meant in names else nearest(name, names)
    add = "" if near in node.keys() else "+"  # noqa: SIM118  (`in` of a node is False for ???)
    return UsageError(
        f"{target.__name__} takes no argument {name!r}",
        got=word,
        belongs=f"it takes {', '.join(names)}",
        nearest=f"{add}{parent}.{near}={value}" if near else "",
    )


def _line(override: Override) -> str:
    return str(override.input_line)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
