"""mmdiff -sc install=bash (zsh, fish): what a shell completes behind mmdiff, and behind a verb.

Hydra completes the keys and groups of one configuration; the first word says here whose they are.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from io import StringIO

from hydra.errors import HydraException
from hydra.plugins.completion_plugin import DefaultCompletionPlugin
from omegaconf.errors import OmegaConfBaseException

from mmdiff.__main__ import VERBS
from mmdiff.apps.compose import ConfigFolders
from mmdiff.apps.known_keys import groups_of, options_of


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
        sys.stderr.write(f'mmdiff: {error}\n  {"cure":<8} eval "$(mmdiff -sc install=bash)"\n')
        return 2
    return 0


def completions(line: str) -> list[str]:
    """What the last word of a command line may become: a verb, a key, a group, an option of it."""
    _, _, behind = line.lstrip().partition(" ")
    verb, space, rest = behind.lstrip().partition(" ")
    if not space:
        return [name for name in VERBS if name.startswith(verb)]
    if verb not in VERBS:
        return []
    *before, last = rest.split(" ")
    chosen = [word for word in before if word.split("=")[0] in groups_of(verb)]
    options = [f"{group}={name}" for group in groups_of(verb) for name in options_of(verb, group)]
    found = {option for option in options if "=" in last and option.startswith(last)}
    try:
        with ConfigFolders().hydra(verb) as hydra, redirect_stderr(StringIO()):
            found |= set(
                DefaultCompletionPlugin(hydra.config_loader)._query(verb, " ".join([*chosen, last]))
            )
    except (HydraException, OmegaConfBaseException, SystemExit):
        pass  # what stands before the last word cannot be composed: nothing is known of its keys
    return sorted(word for word in found if "=_" not in word and not word.startswith("hydra"))
