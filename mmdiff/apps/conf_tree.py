"""What the tree of YAML holds: its folder, the groups with their options, the keys of a verb."""

from functools import cache
from pathlib import Path

from omegaconf import DictConfig, ListConfig, OmegaConf


@cache
def configuration_folder() -> Path:
    """`mmdiff/conf` of an installed wheel, `conf` beside the package in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "generate.yaml").is_file():
            return folder
    raise FileNotFoundError(
        f"mmdiff's configuration folder is missing: neither {package / 'conf'} nor "
        f"{package.parent / 'conf'} holds generate.yaml. Reinstall mmdiff."
    )


@cache
def verbs() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in configuration_folder().glob("*.yaml")))


@cache
def root_keys(verb: str) -> tuple[str, ...]:
    """The dotted keys that the file of a verb sets itself."""
    path = configuration_folder() / f"{verb}.yaml"
    config = OmegaConf.load(path) if path.is_file() else OmegaConf.create({})
    assert isinstance(config, DictConfig)
    return tuple(key for key in leaves(config) if key != "defaults")


@cache
def options(group: str) -> tuple[str, ...]:
    """The options of a group, those in sub-folders too: `bounce/diffusion` of `experiment`. A file
    whose name begins with _ is what several options share, and none by itself."""
    folder = configuration_folder() / group
    files = sorted(path.relative_to(folder) for path in folder.rglob("[!_]*.yaml"))
    return tuple(path.with_suffix("").as_posix() for path in files)


@cache
def groups_of(verb: str) -> tuple[str, ...]:
    """The groups in the defaults list of a verb."""
    path = configuration_folder() / f"{verb}.yaml"
    return tuple(dict.fromkeys(_named_groups(path))) if path.is_file() else ()


@cache
def options_of(verb: str, group: str) -> tuple[str, ...]:
    """The options of a group that a verb can take: an experiment overrides groups of its verb."""
    if group != "experiment":
        return options(group)
    folder, known = configuration_folder() / group, {*groups_of(verb)}
    return tuple(
        name for name in options(group) if {*_named_groups(folder / f"{name}.yaml")} <= known
    )


def _named_groups(path: Path) -> list[str]:
    """Those that the defaults list of a file names, as `group: option`, overridden or not."""
    entries = OmegaConf.select(OmegaConf.load(path), "defaults", default=[])
    words = [str(next(iter(entry))) for entry in entries if isinstance(entry, DictConfig)]
    return [word.split()[-1].strip("/").split("@")[0] for word in words]


def leaves(config: DictConfig, prefix: str = "") -> dict[str, object]:
    """Dotted keys with their raw values, inner nodes ("...") included."""
    found: dict[str, object] = {}
    for key in config:
        value = config._get_node(key)
        name = f"{prefix}{key!s}"
        if isinstance(value, DictConfig) and not value._is_none() and not value._is_missing():
            found |= {name: "...", **leaves(value, f"{name}.")}
        elif isinstance(value, ListConfig):
            found[name] = OmegaConf.to_container(value, resolve=False)
        else:
            found[name] = value._value() if value is not None else None  # type: ignore[union-attr]
    return {key: value for key, value in found.items() if not key.endswith("_target_")}
