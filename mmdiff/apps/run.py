"""Run a verb: Hydra's flags, one run or several, and every failure on one screen."""

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mmdiff.apps.command_line import first_of_sweeps, flags_and_overrides, folders_of
from mmdiff.apps.compose import checked_call, composed, resolved
from mmdiff.apps.health import is_import_failure
from mmdiff.apps.key_kinds import quoted, root_kinds, with_home
from mmdiff.apps.known_keys import home_of
from mmdiff.apps.verb_help import verb_help
from mmdiff.values.usage_error import UsageError, shortened

# Raised only where their module is loaded: they need not be for a verb that does without them.
_ERRORS_OF_MODULES = {
    "safetensors": "SafetensorError",
    "mmdiff.loading.finite": "NonFiniteOutput",
    "mmdiff.training.callbacks.finite_guard": "NonFinite",
    "mmdiff.distributed.strategies": "RanksDisagree",
    "mmdiff.data.worker_status": "ReadingFailed",
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
        if wants_traceback():
            raise
        if error.key and not error.belongs:
            error.belongs = f"{error.key} is in {home_of(error.key, verb=verb)}"
        return _failed(error.screen(verb), 2)
    except KeyboardInterrupt:
        return _failed(f"mmdiff {verb}: interrupted", 130)
    except expected_errors() as error:
        if wants_traceback() or is_import_failure(error):
            raise
        worded = isinstance(error, OSError) and error.filename is None and error.strerror
        message = str(worded or error) or type(error).__name__  # without "[Errno 28]"
        text = f"mmdiff {verb}: {_one_screen(message)}\n  traceback with HYDRA_FULL_ERROR=1"
        return _failed(text, code_of(error))


def _run(verb: str, action: Verb, words: Sequence[str]) -> int:
    flags, overrides = flags_and_overrides(words, verb)
    if flags.experimental_rerun:
        raise UsageError("--experimental-rerun reads a pickle, which may run any code: refused")
    if flags.help:
        sys.stdout.write(verb_help(verb, overrides, folders=folders_of(flags)))
        return 0
    name, folders = flags.config_name or verb, folders_of(flags)
    first = first_of_sweeps(overrides) if flags.multirun else overrides
    config = composed(name, first, folders=folders, with_hydra=True)
    if flags.cfg or flags.info or flags.hydra_help:
        with folders.hydra(verb) as hydra:
            _show(hydra, name, overrides, flags)
        return 0
    if flags.multirun:
        _check_outputs(config, overrides)
        folder = quoted(os.path.expanduser(config.hydra.sweep.dir))
        words = ["hydra.mode=MULTIRUN", *overrides, f"++hydra.sweep.dir={folder}"]
        with folders.hydra(verb) as hydra:
            jobs = hydra.multirun(name, partial(_job, verb, action), words)
        return max(map(_exit_code, _results(jobs)), default=0)
    is_ours = config.hydra.run._get_node("dir")._value() == "${output_dir}"
    place = None if is_ours else config.hydra.run.dir
    return _exit_code(action(_plain(config, verb, folder=place)))


def _job(verb: str, action: Verb, config: DictConfig) -> object:
    """One of several runs, maybe in a process of its own. What the verb gives is the value that a
    sweeper may look for the best of."""
    return action(_plain(config, verb, folder=HydraConfig.get().runtime.output_dir))


def _plain(config: DictConfig, verb: str, *, folder: str | None) -> dict[str, Any]:
    """The plain values of a run.

    folder: what Hydra says of where the run is; None: its output_dir.
    """
    OmegaConf.set_struct(config, False)
    config.pop("hydra", None)
    if folder is not None:
        config.output_dir = folder
    plain = resolved(config, verb)
    return with_home(plain, Any, root_kinds(verb))  # type: ignore[no-any-return]


def _show(hydra: Hydra, name: str, overrides: list[str], flags: Namespace) -> None:
    if flags.hydra_help:
        hydra.hydra_help(config_name=name, args_parser=get_args_parser(), args=flags)
    elif flags.cfg:
        hydra.show_cfg(name, overrides, flags.cfg, flags.package, resolve=flags.resolve)
    else:
        hydra.show_info(flags.info, config_name=name, overrides=overrides)


def _check_outputs(config: DictConfig, overrides: Sequence[str]) -> None:
    """UsageError for several jobs that would all write one file."""
    output = OmegaConf.to_container(config, resolve=False).get("output")  # type: ignore[union-attr]
    is_swept = any(
        one.is_sweep_override() and one.key_or_group == "output"
        for one in OverridesParser.create().parse_overrides(list(overrides))
    )
    if output is None or is_swept or "${" in output:
        return
    path = Path(output)
    raise UsageError(
        f"every job of -m would write output={output}",
        key="output",
        got=f"output={output}",
        nearest=shlex.quote(f"output={path.with_stem(path.stem + '-${hydra:job.num}')}"),
        cure="or leave output out: each job writes into a folder of its own",
    )


def _results(jobs: Any) -> Iterator[object]:
    """What the jobs of a sweep gave; raises what one of them has raised."""
    if isinstance(jobs, JobReturn):
        yield jobs.return_value
    elif isinstance(jobs, Sequence):
        for job in jobs:
            yield from _results(job)


def run_call(verb: str, function: Callable[..., object], words: Sequence[str]) -> int:
    """`run_verb` for a function whose keyword arguments are the root keys of the configuration."""
    return run_verb(verb, partial(checked_call, function), words)


def _exit_code(result: object) -> int:
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def expected_errors() -> tuple[type[BaseException], ...]:
    """What bad input and a bad machine raise; all else is our fault and keeps its traceback."""
    errors: list[type[BaseException]] = [ValueError, OSError, MemoryError, HydraException]
    for module, name in _ERRORS_OF_MODULES.items():
        if module in sys.modules:
            errors.append(getattr(sys.modules[module], name))
    return tuple(errors)


def code_of(error: BaseException) -> int:
    """The exit code: 2 for wrong input, 1 for all else."""
    return 2 if isinstance(error, (ValueError, TypeError)) else 1


def wants_traceback() -> bool:
    return os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0")


def _one_screen(message: str) -> str:
    lines = message.strip().splitlines() or ["failed"]
    kept = [shortened(line, 300) for line in lines[:12]]
    return "\n  ".join(kept + (["..."] if len(lines) > 12 else []))


def _failed(text: str, code: int) -> int:
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)
    return code
