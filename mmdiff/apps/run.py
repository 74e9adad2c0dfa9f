"""Run a verb: Hydra's flags, one run or several, and every failure on one screen."""

import os
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from mmdiff.apps.command_line import flags_and_overrides
from mmdiff.apps.compose import checked_call, composed, resolved
from mmdiff.apps.health import is_import_failure
from mmdiff.apps.known_keys import configuration_folder, home_of
from mmdiff.apps.usage_error import UsageError, nearest, shortened
from mmdiff.apps.verb_help import verb_help

_SHOWING = {"--hydra-help", "--version", "--shell-completion", "-sc"}
_SEVERAL = {"--multirun", "-m"}
_ASKING = {"--cfg", "-c", "--info", "-i"}
_RUNNING = {
    *("--run", "-r", "--resolve", "--package", "-p", "--config-name", "-cn"),
    *("--config-path", "-cp", "--config-dir", "-cd"),
}
_FLAGS = ("--help", *_SHOWING, *_SEVERAL, *_ASKING, *_RUNNING)

# Raised only where their module is loaded: they need not be for a verb that does without them.
_ERRORS_OF_MODULES = {
    "safetensors": "SafetensorError",
    "mmdiff.values.finite": "NonFiniteOutput",
    "mmdiff.training.finite": "NonFinite",
    "mmdiff.distributed.ranks": "RanksDisagree",
    "mmdiff.data.files.file_clips": "ReadingFailed",
    "lightning.fabric.utilities.exceptions": "MisconfigurationException",
}

Verb = Callable[[dict[str, Any]], object]


def run_verb(verb: str, action: Verb, words: Sequence[str]) -> int:
    """Compose the configuration of `verb`, and hand its plain values to `action`.

    Gives the exit code: 0 done, 1 failed, 2 asked for wrongly, 130 interrupted; an `action` that
    returns a whole number gives its own. Set HYDRA_FULL_ERROR=1 to see tracebacks.
    """
    try:
        return _run(verb, action, words)
    except UsageError as error:
        if _wants_traceback():
            raise
        if error.key and not error.belongs:
            error.belongs = f"{error.key} is in {home_of(error.key, verb=verb)}"
        return _failed(error.screen(verb), 2)
    except KeyboardInterrupt:
        return _failed(f"mmdiff {verb}: interrupted", 130)
    except _expected_errors() as error:
        if _wants_traceback() or is_import_failure(error):
            raise
        worded = isinstance(error, OSError) and error.filename is None and error.strerror
        message = str(worded or error) or type(error).__name__  # without "[Errno 28]"
        is_wrong_input = isinstance(error, (ValueError, TypeError))
        text = f"mmdiff {verb}: {_one_screen(message)}"
        return _failed(f"{text}\n  traceback with HYDRA_FULL_ERROR=1", 2 if is_wrong_input else 1)


def _run(verb: str, action: Verb, words: Sequence[str]) -> int:
    flags, overrides = flags_and_overrides(words)
    if any(flag.startswith("--experimental-rerun") for flag in flags):
        raise UsageError("--experimental-rerun reads a pickle, which may run any code: refused")
    if {"--help", "-h"} & set(flags):
        sys.stdout.write(verb_help(verb))
        return 0
    if _SHOWING & set(flags):
        return _through_hydra(verb, action, [*flags, *overrides])
    name = _value_after(flags, ("--config-name", "-cn")) or verb
    folder = _value_after(flags, ("--config-path", "-cp"))
    extra = _value_after(flags, ("--config-dir", "-cd"))
    if _SEVERAL & set(flags):
        composed(name, first_of_sweeps(overrides))
        return _through_hydra(verb, action, [*flags, *overrides])
    if extra:
        if not Path(extra).is_dir():
            raise UsageError(f"--config-dir {extra} is no folder", cure="the folder of your YAML")
        overrides = [f"hydra.searchpath=[file://{Path(extra).absolute()}]", *overrides]
    config_folder = Path(folder).absolute() if folder else None
    config = composed(name, overrides, config_folder=config_folder, with_hydra=True)
    if _ASKING & set(flags):
        showing = [word for word in flags if word not in ("--config-dir", "-cd", extra)]
        return _through_hydra(verb, action, [*showing, *overrides])
    unknown = [word for word in flags if word.startswith("-") and word not in _RUNNING]
    if unknown:
        raise UsageError(f"there is no flag {unknown[0]}", nearest=nearest(unknown[0], _FLAGS))
    return _exit_code(action(resolved(_without_hydra(config), verb)))


def run_call(verb: str, function: Callable[..., object], words: Sequence[str]) -> int:
    """`run_verb` for a function whose keyword arguments are the root keys of the configuration."""
    return run_verb(verb, lambda config: checked_call(function, config), words)


def _through_hydra(verb: str, action: Verb, words: list[str]) -> int:
    """What Hydra shows itself (help, configurations), and several runs, one job after the other."""
    import hydra

    results: list[object] = []

    def task(config: DictConfig) -> object:
        folder = HydraConfig.get().runtime.output_dir
        plain = OmegaConf.merge(config, {"output_dir": folder})
        results.append(action(resolved(_without_hydra(plain), verb)))  # type: ignore[arg-type]
        return results[-1] if isinstance(results[-1], (int, float)) else None

    decorate = hydra.main(
        version_base="1.3", config_path=str(configuration_folder()), config_name=verb
    )
    arguments, before = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = (
        [f"mmdiff {verb}", *words, f"hydra.job.name={verb}"],
        "1",
    )
    try:
        decorate(task)()
    except SystemExit as stop:
        return int(stop.code or 0)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(str(error).strip().splitlines()[0], got=" ".join(words)) from error
    finally:
        sys.argv = arguments
        del os.environ["HYDRA_FULL_ERROR"]
        if before is not None:
            os.environ["HYDRA_FULL_ERROR"] = before
    return max(map(_exit_code, results), default=0)


def first_of_sweeps(overrides: Sequence[str]) -> list[str]:
    """The overrides of the first job of a sweep: its faults are told before any job runs."""
    parser = OverridesParser.create()
    first: list[str] = []
    for word in overrides:
        try:
            override = parser.parse_override(word)
        except HydraException:
            first.append(word)  # said better when it is composed
            continue
        if override.is_sweep_override():
            if not override.is_discrete_sweep() or "glob(" in word:
                continue
            value = next(override.sweep_string_iterator())
            word = f"{word.split('=', 1)[0]}={value}"
        first.append(word)
    return first


def _without_hydra(config: Any) -> DictConfig:
    OmegaConf.set_struct(config, False)
    config.pop("hydra", None)
    return config


def _value_after(flags: Sequence[str], names: Sequence[str]) -> str | None:
    for flag, value in pairwise(flags):
        if flag in names:
            return value
    return None


def _exit_code(result: object) -> int:
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _expected_errors() -> tuple[type[BaseException], ...]:
    """What bad input and a bad machine raise; all else is our fault and keeps its traceback."""
    errors: list[type[BaseException]] = [ValueError, OSError, MemoryError, HydraException]
    for module, name in _ERRORS_OF_MODULES.items():
        if module in sys.modules:
            errors.append(getattr(sys.modules[module], name))
    return tuple(errors)


def _wants_traceback() -> bool:
    return os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")


def _one_screen(message: str) -> str:
    lines = message.strip().splitlines() or ["failed"]
    kept = [shortened(line, 300) for line in lines[:12]]
    return "\n  ".join(kept + (["..."] if len(lines) > 12 else []))


def _failed(text: str, code: int) -> int:
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)
    return code
