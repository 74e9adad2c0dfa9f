"""What the configuration tree knows: its files, groups, options, keys, and where each belongs."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf

import mmdiff
from mmdiff.values.usage_error import nearest


@cache
def configuration_folder() -> Path:
    """`mmdiff/conf` of an installed wheel, `conf` beside the package in a checkout."""
    package = Path(mmdiff.__file__).parent
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "generate.yaml").is_file():
            return folder
    raise FileNotFoundError(
        f"mmdiff's configuration folder is missing: neither {package / 'conf'} nor "
        f"{package.parent / 'conf'} holds generate.yaml. Reinstall mmdiff."
    )


@cache
def groups() -> tuple[str, ...]:
    """All groups, nested ones with slashes: `scheduler`, `experiment/bounce`."""
    root = configuration_folder()
    folders = sorted(path.parent.relative_to(root) for path in root.rglob("*.yaml"))
    names = [folder.as_posix() for folder in folders if folder.parts]
    parents = [parent.as_posix() for folder in folders for parent in folder.parents if parent.parts]
    return tuple(dict.fromkeys([*names, *parents]))


@cache
def options(group: str) -> tuple[str, ...]:
    """The options of a group, those in sub-folders too: `bounce/diffusion` of `experiment`. A file
    whose name begins with _ is what several options share, and none by itself."""
    folder = configuration_folder() / group
    files = sorted(path.relative_to(folder) for path in folder.rglob("[!_]*.yaml"))
    return tuple(path.with_suffix("").as_posix() for path in files)


@cache
def roots() -> tuple[str, ...]:
    """The verbs that have a root file."""
    return tuple(sorted(path.stem for path in configuration_folder().glob("*.yaml")))


@cache
def groups_of(verb: str) -> tuple[str, ...]:
    """The groups in the defaults list of a verb."""
    path = configuration_folder() / f"{verb}.yaml"
    config = OmegaConf.load(path) if path.is_file() else OmegaConf.create({})
    entries = OmegaConf.select(config, "defaults", default=[])
    words = [next(iter(entry)) for entry in entries if isinstance(entry, DictConfig)]
    names = [str(word).removeprefix("optional ").removeprefix("override ") for word in words]
    return tuple(dict.fromkeys(name.strip("/").split("@")[0] for name in names))


@cache
def options_of(verb: str, group: str) -> tuple[str, ...]:
    """The options of a group that this verb can take: an experiment overrides groups of its verb
    only."""
    if group != "experiment":
        return options(group)
    known = groups_of(verb)
    return tuple(name for name in options(group) if set(_overridden(group, name)) <= set(known))


def _overridden(group: str, option: str) -> list[str]:
    """The groups that the defaults list of an option overrides."""
    config = OmegaConf.load(configuration_folder() / group / f"{option}.yaml")
    entries = OmegaConf.select(config, "defaults", default=[])
    words = [str(next(iter(entry))) for entry in entries if isinstance(entry, DictConfig)]
    names = [word.removeprefix("override ") for word in words if word.startswith("override ")]
    return [name.strip("/").split("@")[0] for name in names]


def chosen_options(config: DictConfig) -> dict[str, str]:
    """The option of each group of a configuration that was composed with Hydra's own keys."""
    choices = config.hydra.runtime.choices
    return {str(group): str(option) for group, option in choices.items() if option is not None}


def leaves(config: DictConfig, prefix: str = "") -> dict[str, object]:
    """Dotted keys with their raw values, inner nodes included."""
    found: dict[str, object] = {}
    for key in config:
        value = config._get_node(key)
        name = f"{prefix}{key!s}"
        if isinstance(value, DictConfig) and not value._is_none() and not value._is_missing():
            found[name] = "..."
            found |= leaves(value, f"{name}.")
        elif isinstance(value, ListConfig):
            found[name] = OmegaConf.to_container(value, resolve=False)
        else:
            found[name] = value._value() if value is not None else None  # type: ignore[union-attr]
    return {key: value for key, value in found.items() if not key.endswith("_target_")}


@cache
def keys_of_files() -> dict[str, str]:
    """Every dotted key that a file of the tree sets, with that file (`conf/generate.yaml`)."""
    root = configuration_folder()
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*.yaml"), key=lambda path: (len(path.parts), str(path))):
        config = OmegaConf.load(path)
        for key in _full_keys(path, config) if isinstance(config, DictConfig) else ():
            found.setdefault(key, f"conf/{path.relative_to(root).as_posix()}")
    return found


def _full_keys(path: Path, config: DictConfig) -> list[str]:
    """The keys of a file, from the root of a configuration that takes it in."""
    own = re.match(r"# @package (\S+)", path.read_text(encoding="utf-8"))
    inside = path.relative_to(configuration_folder()).parent
    named = own.group(1) if own else ".".join(inside.parts)
    package = f"{named}." if named and named != "_global_" else ""
    names = [key for key in leaves(config) if key.split(".")[0] not in ("defaults", "hydra")]
    return [f"{package}{name}" for name in names]


@cache
def comments(file: str) -> dict[str, str]:
    """What a file of the tree (`conf/generate.yaml`) says behind its dotted keys."""
    path = configuration_folder().parent / file
    found: dict[str, str] = {}
    outer: list[tuple[int, str]] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        match = re.match(r"( *)(\w+):(?:.*? #(?!\S) *(.*))?", line)
        if match is None:
            continue
        depth = len(match[1])
        outer = [(other, name) for other, name in outer if other < depth]
        outer.append((depth, match[2]))
        found[".".join(name for _, name in outer)] = match[3] or ""
    return found


def home_of(key: str, *, verb: str, choices: Mapping[str, str] | None = None) -> str:
    """The file that a key comes from, in the configuration composed last or with these choices."""
    if choices is None:
        selected = HydraConfig.get().runtime.choices if HydraConfig.initialized() else {}
        choices = {str(group): str(option or "") for group, option in selected.items()}
    for group in sorted(choices, key=len, reverse=True):
        dotted = group.rsplit("@", 1)[-1].replace("/", ".")
        if choices[group] and (key == dotted or key.startswith(f"{dotted}.")):
            option = _setting_option(group.split("@")[0], choices[group], key[len(dotted) + 1 :])
            return f"conf/{group.split('@')[0]}/{option or choices[group]}.yaml"
    return f"conf/{verb}.yaml"


def _setting_option(group: str, option: str, key: str) -> str | None:
    """Which file of a group sets a key: that of the option, or one that it takes in."""
    path = configuration_folder() / group / f"{option}.yaml"
    config = OmegaConf.load(path) if path.is_file() else None
    if not isinstance(config, DictConfig):
        return None
    if key in leaves(config) or f"{group}.{key}" in _full_keys(path, config):
        return option
    others = (_setting_option(group, name, key) for name in taken_in(group, option))
    return next((name for name in others if name is not None), None)


def taken_in(group: str, option: str) -> list[str]:
    """The files of its own group that an option begins with."""
    path = configuration_folder() / group / f"{option}.yaml"
    entries = (
        OmegaConf.select(OmegaConf.load(path), "defaults", default=[]) if path.is_file() else []
    )
    return [entry for entry in entries if isinstance(entry, str) and entry != "_self_"]


def elsewhere(key: str) -> str:
    """A sentence about a key that this verb lacks and some other file has, or an empty string."""
    file = keys_of_files().get(key)
    return f"{key} is set in {file}" if file else ""


def nearest_key(key: str, known: dict[str, object]) -> str:
    """The key most like this one: among those at its own depth first, then among all."""
    parent = key.rsplit(".", 1)[0] + "." if "." in key else ""
    siblings = [name for name in known if name.startswith(parent) and parent]
    return nearest(key, siblings) or nearest(key, known) or nearest(key, groups())
