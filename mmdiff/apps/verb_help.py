"""mmdiff VERB --help, and what a shell completes behind `mmdiff` (`mmdiff -sc install=bash`).

Both come from the YAML and the constructors, so that they cannot grow old.
"""

import inspect
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO

from hydra.errors import HydraException
from hydra.plugins.completion_plugin import DefaultCompletionPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmdiff.apps.compose import ConfigFolders
from mmdiff.apps.conf_tree import configuration_folder, groups_of, leaves, options_of, verbs
from mmdiff.apps.schema import argument_names, shown
from mmdiff.apps.targets import allowed_for

_FLAGS = """\
Flags
  GROUP=OPTION --help      the keys of what is chosen, too
  --cfg job [--resolve]    show the configuration instead of running
  -m, --multirun           run once for every combination: mmdiff {verb} -m seed=1,2,3
  --info defaults          show which files the configuration comes from
  --config-dir FOLDER      add a folder with groups and options of your own
  --hydra-help             all flags
"""


def verb_help(verb: str, config: DictConfig) -> str:
    """The file of a verb with its comments, the options of its groups, the flags; and the keys of
    what the command line chooses beside the defaults."""
    text = (configuration_folder() / f"{verb}.yaml").read_text(encoding="utf-8")
    about, _, body = text.partition("defaults:")
    keys = body.partition("\n\n")[2].strip()
    groups = [group for group in groups_of(verb) if group not in ("hydra", "paths")]
    width = max(map(len, groups), default=0)
    lines = [f"  {group:<{width}}  {', '.join(options_of(verb, group))}" for group in groups]
    parts = [about.replace("# ", "").strip(), f"Keys\n{_indented(keys)}"]
    parts += ["\n".join(["Groups, group=option", *lines])] if lines else []
    overrides = [str(word) for word in config.hydra.overrides.task]
    chosen = {word.split("=")[0].split(".")[0].lstrip("+~") for word in overrides}
    if "experiment" in chosen:
        chosen |= {str(name) for name in config if name not in ("hydra", "paths")}
    rows = [row for name in sorted(chosen) for row in _rows(name, config)]
    parts += ["\n".join(["Of what is chosen", *rows])] if rows else []
    return "\n\n".join([*parts, _FLAGS.format(verb=verb)])


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _rows(name: str, config: DictConfig) -> Iterator[str]:
    """The keys in a group, and with a + the arguments of our components that its file leaves out;
    what only copies another key is left out."""
    node = config.get(name)
    if not isinstance(node, DictConfig):
        return
    for key, value in {"": "...", **leaves(node)}.items():
        full = f"{name}.{key}" if key else name
        if value != "...":
            if not re.fullmatch(r"\$\{[\w.]+\}", str(value)) and not key.endswith("_partial_"):
                yield f"  {full}={shown(value)}"
            continue
        part = OmegaConf.select(node, key) if key else node
        target = part.get("_target_") if isinstance(part, DictConfig) else None
        if target is None or not str(target).startswith("mmdiff."):
            continue
        function = allowed_for(config).target(target)
        parameters = inspect.signature(function).parameters
        for argument in argument_names(function):
            default = parameters[argument].default
            is_plain = default is None or isinstance(default, (bool, int, float, str))
            if argument not in part and is_plain:
                yield f"  +{full}.{argument}={shown(default)}"


def shell_completion(words: Sequence[str]) -> int:
    """`install=SHELL` and `uninstall=SHELL` print a script for the shell to read; that asks
    `query=SHELL` for what may stand at the end of COMP_LINE."""
    asked = next((word for word in words if "=" in word), "")
    if asked.startswith("query="):
        separator = "\n" if asked == "query=fish" else " "
        sys.stdout.write(separator.join(completions(os.environ.get("COMP_LINE", ""))) + "\n")
        return 0
    sys.argv[0] = "mmdiff"  # however it was started: the script is for that command
    try:
        with ConfigFolders().hydra("mmdiff") as hydra:
            hydra.shell_completion(None, [asked])
    except ValueError as error:
        sys.stderr.write(f'mmdiff: {error}\n  {"hint":<8} eval "$(mmdiff -sc install=bash)"\n')
        return 2
    return 0


def completions(line: str) -> list[str]:
    """What the last word of a command line may become: a verb, a key, a group, an option of it."""
    _, _, behind = line.lstrip().partition(" ")
    verb, space, rest = behind.lstrip().partition(" ")
    if not space:
        return [name for name in verbs() if name.startswith(verb)]
    if verb not in verbs():
        return []
    *before, last = rest.split(" ")
    chosen = [word for word in before if word.split("=")[0] in groups_of(verb)]
    options = [f"{group}={name}" for group in groups_of(verb) for name in options_of(verb, group)]
    found = {option for option in options if "=" in last and option.startswith(last)}
    try:
        with ConfigFolders().hydra(verb) as hydra, redirect_stderr(StringIO()):
            plugin = DefaultCompletionPlugin(hydra.config_loader)
            found |= set(plugin._query(verb, " ".join([*chosen, last])))
    except (HydraException, OmegaConfBaseException, SystemExit):
        pass  # what stands before the last word cannot be composed: nothing is known of its keys
    return sorted(word for word in found if "=_" not in word and not word.startswith("hydra"))
