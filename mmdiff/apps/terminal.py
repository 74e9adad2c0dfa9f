"""What a verb that takes its time writes on the screen while it runs."""

import gc
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler


def announce(text: str) -> None:
    """One line on standard error: what takes its time from now on."""
    Console(stderr=True, soft_wrap=True).print(text, style="dim", markup=False, highlight=False)


def announce_libraries() -> None:
    """Before the first import of the large libraries, which takes seconds."""
    if "torch" not in sys.modules:
        announce("loading libraries")


@contextmanager
def quick_imports() -> Iterator[None]:
    """No garbage is collected while the large libraries are imported: a fifth of the time that a
    start takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


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
