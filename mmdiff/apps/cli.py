"""Run a verb: Hydra's flags, one run or several, and every failure on one screen."""

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.config import checked_call
from mmdiff.apps.health import is_import_failure
from mmdiff.apps.key_errors import parsed
from mmdiff.apps.key_types import with_texts
from mmdiff.apps.overrides import (
    first_of_sweeps,
    flags_and_overrides,
    folders_of,
    quoted,
    typed_key,
)
from mmdiff.apps.schema import annotations
from mmdiff.apps.terminal import say
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


def run_call(verb: str, function: Callable[..., object], words: Sequence[str]) -> int:
    """`run_verb` for a function whose keyword arguments are the root keys of the configuration."""
    return run_verb(verb, partial(checked_call, function), words, keys=annotations(function))


def run_verb(verb: str, action: Verb, words: Sequence[str], *, keys: Mapping[str, Any]) -> int:
    """Compose the configuration of `verb`, and hand its plain values to `action`.

    keys: its root keys with their annotations.

    Gives the exit code: 0 done, 1 failed, 2 asked for wrongly, 130 interrupted; an `action` that
    returns a whole number gives its own. Set HYDRA_FULL_ERROR=1 to see tracebacks.
    """
    try:
        return _run(verb, action, words, keys)
    except UsageError as error:
        if wants_traceback():
            raise
        say(error.screen(verb))
        return 2
    except KeyboardInterrupt:
        say(f"mmdiff {verb}: interrupted")
        return 130
    except expected_errors() as error:
        if wants_traceback() or is_import_failure(error):
            raise
        worded = isinstance(error, OSError) and error.filename is None and error.strerror
        message = str(worded or error) or type(error).__name__  # without "[Errno 28]"
        say(f"mmdiff {verb}: {_one_screen(message)}\n  traceback with HYDRA_FULL_ERROR=1")
        return code_of(error)


def _run(verb: str, action: Verb, words: Sequence[str], keys: Mapping[str, Any]) -> int:
    flags, overrides = flags_and_overrides(words, verb, keys)
    if flags.experimental_rerun:
        raise UsageError("--experimental-rerun reads a pickle, which may run any code: refused")
    name, folders = flags.config_name or verb, folders_of(flags)
    first = first_of_sweeps(overrides) if flags.multirun else overrides
    config = composed(name, first, folders=folders, with_hydra=True)
    if flags.help:
        sys.stdout.write(verb_help(verb, config))
        return 0
    if flags.cfg or flags.info or flags.hydra_help:
        with folders.hydra(verb) as hydra:
            _show(hydra, name, overrides, flags)
        return 0
    if flags.multirun:
        _check_outputs(config, overrides)
        folder = quoted(os.path.expanduser(config.hydra.sweep.dir))
        words = ["hydra.mode=MULTIRUN", *overrides, f"++hydra.sweep.dir={folder}"]
        with folders.hydra(verb) as hydra:
            jobs = hydra.multirun(name, partial(_job, verb, action, keys), words)
        return max(map(_exit_code, _results(jobs)), default=0)
    is_ours = config.hydra.run._get_node("dir")._value() == "${output_dir}"
    run_dir = None if is_ours else config.hydra.run.dir
    typed = {typed_key(word): word.partition("=")[2] for word in flags.overrides}
    return _exit_code(action(with_texts(_plain(config, verb, run_dir), keys, typed)))


def _job(verb: str, action: Verb, keys: Mapping[str, Any], config: DictConfig) -> object:
    """One of several runs, maybe in a process of its own. What the verb gives is the value that a
    sweeper may look for the best of."""
    plain = _plain(config, verb, HydraConfig.get().runtime.output_dir)
    return action(with_texts(plain, keys, {}))


def _plain(config: DictConfig, verb: str, folder: str | None) -> dict[str, Any]:
    """The plain values of a run.

    folder: what Hydra says of where the run is; None: its output_dir.
    """
    OmegaConf.set_struct(config, False)
    config.pop("hydra", None)
    if folder is not None:
        config.output_dir = folder
    return resolved(config, verb)


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
    read = filter(None, map(parsed, overrides))
    is_swept = any(one.is_sweep_override() and one.key_or_group == "output" for one in read)
    if output is None or is_swept or "${" in output:
        return
    path = Path(output)
    raise UsageError(
        f"every job of -m would write output={output}",
        nearest=shlex.quote(f"output={path.with_stem(path.stem + '-${hydra:job.num}')}"),
        hint="or leave output out: each job writes into a folder of its own",
    )


def _results(jobs: Any) -> Iterator[object]:
    """What the jobs of a sweep gave; raises what one of them has raised."""
    if isinstance(jobs, JobReturn):
        yield jobs.return_value
    elif isinstance(jobs, Sequence):
        for job in jobs:
            yield from _results(job)


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
