"""mmdiff VERB --help: the keys of a verb with their comments, its groups, and Hydra's flags."""

import re

from mmdiff.__main__ import VERBS
from mmdiff.apps.known_keys import configuration_folder, groups_of, options_of

_FLAGS = """\
Flags
  --cfg job [--resolve]    show the configuration instead of running
  -m, --multirun           run once for every combination: mmdiff {verb} -m seed=1,2,3
  --info defaults          show which files the configuration comes from
  --config-dir FOLDER      add a folder with groups and options of your own
  --hydra-help             all flags
"""


def verb_help(verb: str) -> str:
    """One or two screens; the root file itself is the list of keys, so that it cannot grow old."""
    text = (configuration_folder() / f"{verb}.yaml").read_text(encoding="utf-8")
    body = re.sub(r"^defaults:\n(?:[ \t]+.*\n|[ \t]*#.*\n)*", "", text, flags=re.MULTILINE)
    keys = "\n".join(f"  {line}".rstrip() for line in body.strip().splitlines())
    groups = [group for group in groups_of(verb) if group not in ("hydra", "_self_")]
    width = max(map(len, groups), default=0)
    lines = [f"  {group:<{width}}  {', '.join(options_of(verb, group))}" for group in groups]
    chosen = "\n".join(["Groups, group=option", *lines, ""]) if lines else ""
    meaning = VERBS.get(verb, "")
    head = f"mmdiff {verb} key=value ...   {meaning}\n\nKeys\n{keys}\n\n"
    return f"{head}{chosen}\n{_FLAGS.format(verb=verb)}"
