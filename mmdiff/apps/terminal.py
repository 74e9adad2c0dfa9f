"""What a verb writes on the screen while it runs."""

import logging
import os
import sys
import warnings

from rich.console import Console
from rich.logging import RichHandler


def say(text: str, *, style: str | None = None) -> None:
    """On standard error, as it stands: no markup, no colors of numbers."""
    Console(stderr=True, soft_wrap=True).print(text, style=style, markup=False, highlight=False)


def announce(text: str) -> None:
    """One line: what takes its time from now on."""
    say(text, style="dim")


def announce_libraries() -> None:
    """Before the first import of the large libraries, which takes seconds."""
    if "torch" not in sys.modules:
        announce("loading libraries")


def log_to_terminal() -> None:
    """Send the log of the package to the terminal, unless somebody already takes it; and nothing of
    the libraries that is no news to a user."""
    quieten_libraries()
    logger = logging.getLogger("mmdiff")
    if logger.handlers or logging.getLogger().handlers:
        return
    width = None if sys.stderr.isatty() else 160
    handler = RichHandler(console=Console(stderr=True, width=width), show_path=False)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def quieten_libraries() -> None:
    """No bars for files that are read in a second; nothing of what libraries owe each other; our
    own warnings as a sentence, without the line of the package that says it."""
    if "transformers" in sys.modules:
        sys.modules["transformers"].utils.logging.disable_progress_bar()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec", append=True)
    warnings.formatwarning = _as_a_sentence
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _as_a_sentence(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    if category is UserWarning:
        return f"{message}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"
