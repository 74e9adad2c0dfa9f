"""How progress is shown: arguments of tqdm, which is the bar of diffusers too."""

import io
import sys
from typing import Any

SECONDS_BETWEEN = {"bar": 0.05, "line": 10}


def bar_arguments(what: str, *, line: str) -> dict[str, Any]:
    """A bar that moves at every step on a terminal; elsewhere a line of a log every ten seconds.

    line  what stands behind `what` there, in the fields of tqdm's `bar_format`
    """
    if sys.stderr.isatty():
        return {"desc": what, "leave": False, "mininterval": SECONDS_BETWEEN["bar"]}
    layout = {"file": _Lines(), "bar_format": f"{{desc}}: {line}"}
    return {"desc": what, "mininterval": SECONDS_BETWEEN["line"], **layout}


class _Lines(io.TextIOBase):
    """Where tqdm would write over its line, each state becomes a line of its own."""

    def write(self, text: str) -> int:
        if text.strip():
            sys.stderr.write(text.strip() + "\n")
        return len(text)
