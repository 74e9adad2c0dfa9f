"""mmdiff VERB --help: the keys of a verb and of what is chosen, its groups, and the flags."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence

from omegaconf import DictConfig, OmegaConf

from mmdiff.__main__ import VERBS
from mmdiff.apps.compose import ConfigFolders, composed
from mmdiff.apps.known_keys import chosen_options, comments, groups_of, home_of, leaves, options_of
from mmdiff.apps.signature import argument_names
from mmdiff.apps.targets import resolve_target

_FLAGS = """\
Flags
  GROUP=OPTION --help      the keys of what is chosen, too
  --cfg job [--resolve]    show the configuration instead of running
  -m, --multirun           run once for every combination: mmdiff {verb} -m seed=1,2,3
  --info defaults          show which files the configuration comes from
  --config-dir FOLDER      add a folder with groups and options of your own
  --hydra-help             all flags
"""
_WIDEST = 44  # of key=value, before the line that says what it is


def verb_help(verb: str, overrides: Sequence[str], *, folders: ConfigFolders) -> str:
    """One or two screens; longer where overrides choose more than the verb does by itself.

    The keys, their values and what is said of each come from the YAML and the constructors, so that
    this cannot grow old.
    """
    config = composed(verb, overrides, folders=folders, with_hydra=True)
    choices = chosen_options(config)
    parts = [str(name) for name in config if name not in ("hydra", "paths")]
    nodes = [name for name in parts if isinstance(config._get_node(name), DictConfig)]
    shown = parts if overrides else [name for name in parts if name not in nodes]
    keys = [row for name in shown for row in _rows(name, config, verb, choices)]
    groups = [group for group in groups_of(verb) if group not in ("hydra", "_self_")]
    width = max(map(len, groups), default=0)
    lines = [f"  {group:<{width}}  {', '.join(options_of(verb, group))}" for group in groups]
    chosen = "\n".join(["Groups, group=option", *lines, ""]) if lines else ""
    head = f"mmdiff {verb} key=value ...   {VERBS.get(verb, '')}\n\n"
    return f"{head}Keys\n" + "\n".join(keys) + f"\n\n{chosen}\n{_FLAGS.format(verb=verb)}"


def _rows(name: str, config: DictConfig, verb: str, choices: Mapping[str, str]) -> Iterator[str]:
    """The lines of a root key and of all in it; what only copies another key is left out."""
    for key, value in leaves(config).items():
        is_inside = key == name or key.startswith(f"{name}.")
        is_copy = "." in key and re.fullmatch(r"\$\{[\w.]+\}", str(value))
        if is_inside and value != "..." and not is_copy and not key.endswith("_partial_"):
            yield _row(f"{key}={_shown(value)}", _comment(key, config, verb, choices))
    for parent, target in _nodes(config, name):
        parameters = inspect.signature(target).parameters
        for argument in argument_names(target):
            default = parameters[argument].default
            is_plain = default is None or isinstance(default, (bool, int, float, str))
            if argument not in OmegaConf.select(config, parent) and is_plain:
                row = f"+{parent}.{argument}={_shown(default)}"
                yield _row(row, _of_docstring(argument, target))


def _nodes(config: DictConfig, name: str) -> Iterator[tuple[str, type]]:
    """The components of ours in a root key, by their dotted keys."""
    for key, value in {name: "...", **leaves(config)}.items():
        if value != "..." or not f"{key}.".startswith(f"{name}."):
            continue
        node = config._get_node(name) if key == name else OmegaConf.select(config, key)
        target = node.get("_target_") if isinstance(node, DictConfig) else None
        if target is not None and str(target).startswith("mmdiff."):
            yield key, resolve_target(target)


def _comment(key: str, config: DictConfig, verb: str, choices: Mapping[str, str]) -> str:
    """What the YAML says behind a key, or else the docstring of what reads it."""
    written = comments(home_of(key, verb=verb, choices=choices))
    parts = key.split(".")
    ends = [".".join(parts[index:]) for index in range(len(parts))]
    found = next((written[end] for end in ends if written.get(end)), "")
    parent, _, argument = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent and not found else None
    if not isinstance(node, DictConfig) or "_target_" not in node:
        return found
    return _of_docstring(argument, resolve_target(node["_target_"]))


def _of_docstring(argument: str, target: type) -> str:
    """`argument: what it is`, or `argument   what it is`, of a class or one of its bases."""
    kinds = target.__mro__[:-1] if inspect.isclass(target) else [target]
    where = [one for kind in kinds for one in (kind, vars(kind).get("__init__"))]
    texts = [inspect.getdoc(one) or "" for one in where if one is not None]
    line = re.compile(rf"^ *(?:\w+, )*{argument}(?:, \w+)*(?::| {{2,}}) *(\S.*)$", re.MULTILINE)
    return next((match[1] for text in texts if (match := line.search(text))), "")


def _row(setting: str, text: str) -> str:
    return f"  {setting:<{_WIDEST}} # {text}" if text else f"  {setting}"


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
