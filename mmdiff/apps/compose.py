"""A verb and its overrides -> the plain values of its configuration, by Hydra.

Hydra lives in the parent process only: workers of a run read the resolved values from a file.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmdiff.apps.conf_tree import configuration_folder
from mmdiff.apps.config import check_values
from mmdiff.apps.key_errors import check_additions, diagnosed, unresolved
from mmdiff.apps.schema import check_value
from mmdiff.apps.terminal import announce_libraries
from mmdiff.values.usage_error import UsageError


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
        raise UsageError(f"text.{key} is not given", hint=hint)
    name = str(text[key])
    try:
        return None if name == known else text_width(name)
    except CheckpointError as error:
        raise UsageError(f"text.{key}: {error}") from error


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
                raise UsageError(f"{flag} {folder} is no folder", hint="the folder of your YAML")
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
    """The configuration of a verb, or UsageError that names the wrong override and a hint."""
    with folders.hydra(verb):
        try:
            config = compose(verb, list(overrides), return_hydra_config=True)
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise diagnosed(error, verb=verb, overrides=overrides, compose=compose) from error
        check_additions(overrides, config, verb=verb)
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
    assert isinstance(plain, dict)
    config_of_user = {str(key): value for key, value in plain.items()}
    check_values(config_of_user)
    check_value("trust_modules", config_of_user.get("trust_modules", []), list[str])
    return config_of_user
