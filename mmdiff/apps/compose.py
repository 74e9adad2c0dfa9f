"""From a command line to the call of a verb: compose, check, instantiate, run.

Hydra lives here and only in the parent process. Objects are built from nodes in this file and
nowhere else, after every `_target_` has passed the allow-list and every argument the signature of
it.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from hydra import compose
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmdiff.apps.diagnosis import check_additions, diagnosed, unresolved
from mmdiff.apps.known_keys import chosen_options, configuration_folder
from mmdiff.apps.library_ranges import check_ranges
from mmdiff.apps.plain_values import check_values, in_order
from mmdiff.apps.signature import check_arguments
from mmdiff.apps.targets import ROOMS, resolve_target
from mmdiff.apps.terminal import announce_libraries
from mmdiff.media.redaction import secret_in
from mmdiff.values.usage_error import UsageError

_HYDRA_KEYS = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")


def _bundled(part: str = "") -> str:
    """${bundled:vae}: the folder of a component of the bundled model; ${bundled:}: all of it."""
    announce_libraries()
    from mmdiff.loading.folder import pipeline_folder

    return str(pipeline_folder(None) / part)


def _given(value: Any, otherwise: Any) -> Any:
    """${given:${components.vae},${bundled:vae}}: the first, unless that is null."""
    return otherwise if value is None else value


def _text_width(text: Any, known: str | None = None) -> int | None:
    """${text_width:${text}}: of the tokens that a text model makes, as it says itself or as the
    encoder that it names does; null where that is the one in `known`."""
    from mmdiff.loading.json_file import CheckpointError
    from mmdiff.text.pretrained import text_width

    if "d_model" in text:
        return int(text["d_model"])
    key = "pretrained" if "pretrained" in list(text) else "folder"
    if OmegaConf.is_missing(text, key):
        hint = f"text.{key}=FOLDER of a text encoder, as its save_pretrained wrote it"
        raise UsageError(f"text.{key} is not given", key=f"text.{key}", cure=hint)
    name = str(text[key])
    try:
        return None if name == known else text_width(name)
    except CheckpointError as error:
        raise UsageError(str(error), key=f"text.{key}", got=f"text.{key}={name}") from error


OmegaConf.register_new_resolver("bundled", _bundled)
OmegaConf.register_new_resolver("given", _given)
OmegaConf.register_new_resolver("text_width", _text_width)


@dataclass(frozen=True)
class ConfigFolders:
    """Where YAML is looked for: `main`, mmdiff's own unless given, and before it `extra`."""

    main: Path | None = None
    extra: Path | None = None

    @contextmanager
    def hydra(self, job_name: str) -> Iterator[Hydra]:
        """Hydra with these folders; UsageError for one that is none."""
        setbase("1.3")
        search = create_config_search_path(str((self.main or configuration_folder()).absolute()))
        for flag, folder in (("--config-path", self.main), ("--config-dir", self.extra)):
            if folder is not None and not folder.is_dir():
                raise UsageError(f"{flag} {folder} is no folder", cure="the folder of your YAML")
        if self.extra is not None:
            schema = SearchPathQuery(provider="schema")
            search.prepend("command-line", f"file://{self.extra.absolute()}", anchor=schema)
        try:
            yield Hydra.create_main_hydra2(task_name=job_name, config_search_path=search)
        finally:
            GlobalHydra.instance().clear()


def composed(
    verb: str,
    overrides: Sequence[str] = (),
    *,
    folders: ConfigFolders = ConfigFolders(),
    with_hydra: bool = False,
) -> DictConfig:
    """The configuration of a verb, or UsageError that names the wrong override and its cure."""
    with folders.hydra(verb):
        try:
            config = compose(verb, list(overrides), return_hydra_config=True)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise diagnosed(error, verb=verb, overrides=overrides, compose=compose) from error
        choices = chosen_options(config)
        check_additions(_parsed(overrides), config, verb=verb, choices=choices)
        HydraConfig.instance().set_config(config)
        if not with_hydra:
            OmegaConf.set_struct(config, False)
            config.pop("hydra")
    return config


def resolved(config: DictConfig, verb: str) -> dict[str, Any]:
    """Plain values with every interpolation followed; UsageError for one that leads nowhere, or is
    no value anywhere: NaN, an empty path."""
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise unresolved(error, config, verb) from error
    if not isinstance(plain, dict):
        raise UsageError(f"the configuration of {verb} is not a mapping")
    check_values(plain)
    return {str(key): value for key, value in plain.items()}


def check_nodes(value: object, key: str = "", *, rooms: Collection[str] = tuple(ROOMS)) -> None:
    """Check every node with a `_target_`: may it be called, and with these arguments?

    rooms: that its targets may be from.
    """
    if isinstance(value, Mapping):
        for name in in_order(value):
            check_nodes(value[name], f"{key}.{name}" if key else str(name), rooms=rooms)
        if "_target_" in value:
            _check_node(value, key, rooms)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_nodes(item, f"{key}[{index}]", rooms=rooms)


def _check_node(node: Mapping[str, Any], key: str, rooms: Collection[str]) -> None:
    prefix = f"{key}." if key else ""
    target = resolve_target(node["_target_"], key=f"{prefix}_target_", rooms=rooms)
    arguments = {name: value for name, value in node.items() if name not in _HYDRA_KEYS}
    check_arguments(
        target,
        arguments,
        prefix=prefix,
        is_partial=bool(node.get("_partial_", False)),
        num_positional=len(node.get("_args_") or ()),
    )
    check_ranges(target, arguments, prefix=prefix)


def instantiate(node: Mapping[str, Any], **arguments: object) -> Any:
    """Build what a node describes, after a check of the whole of it; `arguments` are added to those
    of the node.

    The grammar is that of Hydra's `instantiate`: `_target_`, `_partial_`, `_args_`, `_recursive_`.
    Unlike there, values mean themselves: `${...}` in a text is not resolved once more, so a
    configuration that was read from a file cannot ask for variables of the environment.

    Raises UsageError with the words of a constructor that refuses its arguments. One of another
    library may refuse with any error, one of ours with those that say what is wrong.
    """
    whole = {**node, **arguments}
    check_nodes(whole)
    return _build(whole)


def _build(value: Any) -> Any:
    if isinstance(value, list):
        return [_build(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "_target_" not in value:
        return {key: _build(item) for key, item in value.items()}
    inner = _build if value.get("_recursive_", True) else _as_it_is
    positional = [inner(item) for item in value.get("_args_") or ()]
    named = {key: inner(item) for key, item in value.items() if key not in _HYDRA_KEYS}
    target = resolve_target(value["_target_"])
    if value.get("_partial_", False):
        return partial(target, *positional, **named)
    try:
        return target(*positional, **named)
    except _refusals() as error:
        refusal = _refusal(target, error)
        if refusal is None:
            raise
        raise refusal from error


def _refusals() -> tuple[type[Exception], ...]:
    """What constructors of ours, of torch, diffusers and Lightning raise for arguments that are
    none."""
    errors: list[type[Exception]] = [ValueError, TypeError, OSError, RuntimeError, ArithmeticError]
    errors += [AssertionError, AttributeError, LookupError, ImportError]
    if "lightning.fabric.utilities.exceptions" in sys.modules:
        module = sys.modules["lightning.fabric.utilities.exceptions"]
        errors.append(module.MisconfigurationException)
    return tuple(errors)


def _refusal(target: type, error: Exception) -> UsageError | None:
    """What a user is told of a constructor that raised; None for what is our fault, or told
    already."""
    name, text = getattr(target, "__name__", str(target)), str(error) or type(error).__name__
    if isinstance(error, UsageError):
        return None
    if isinstance(error, (ValueError, TypeError, OSError)):
        return UsageError(text)
    if isinstance(error, RuntimeError) and "can't allocate memory" in text:
        return UsageError(f"{name} does not fit into memory: {text.splitlines()[0]}")
    if target.__module__.startswith("mmdiff."):
        return None
    return UsageError(f"{name} cannot be built with these arguments: {text.splitlines()[0]}")


def _as_it_is(value: Any) -> Any:
    return value


def load_resolved(path: Path) -> dict[str, Any]:
    """Read a `resolved.yaml` that `save_resolved` wrote: plain values, no tags, no resolvers."""
    try:
        with path.open(encoding="utf-8") as stream:
            plain = yaml.safe_load(stream)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is not readable as plain YAML ({reason}); take the one that the run wrote"
        ) from error
    if not isinstance(plain, dict):
        raise ValueError(
            f"{path} holds a {type(plain).__name__}, not a configuration; take the one that the "
            "run wrote"
        )
    return plain


def save_resolved(config: Mapping[str, Any], folder: Path) -> Path:
    """Write the resolved configuration into a run folder, atomically.

    Raises UsageError, and writes nothing, where a value is a secret of the environment.
    """
    from mmdiff.media.atomic import atomic_write

    _check_no_secret(config)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "resolved.yaml"
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
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
            key=key.split("[")[0],
            cure=f"leave {key} out: the libraries read {variable} from the environment themselves",
        )


def checked_call(function: Callable[..., Any], config: Mapping[str, Any]) -> Any:
    """Call a verb's function with its root keys; nodes with a `_target_` arrive instantiated."""
    check_arguments(function, config)
    check_nodes(config)
    return function(**{key: built(value) for key, value in config.items()})


def built(value: Any) -> Any:
    """The object that a node with a `_target_` describes, or those of a mapping of nodes (several
    options of one group); every other value as it is."""
    if isinstance(value, Mapping) and "_target_" in value:
        return instantiate(value)
    if isinstance(value, Mapping) and any(map(_is_node, value.values())):
        return {name: built(item) for name, item in value.items()}
    return value


def _is_node(value: object) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _parsed(overrides: Sequence[str]) -> list[Override]:
    return OverridesParser.create().parse_overrides(list(overrides))
