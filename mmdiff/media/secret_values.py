"""Secrets of the environment, which no file that is written may hold.

Tokens of the hub and of loggers are found by the names of their variables. The libraries that need
them read the variables themselves, so mmdiff never has a use for the values.
"""

import os
import re
from collections.abc import Iterator

_NAME = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS|API_?KEY|ACCESS_?KEY)S?(_|$)", re.I)
SHORTEST = 8  # shorter values are switches such as TOKENIZERS_PARALLELISM=false, or placeholders


def secret_in(text: str) -> str:
    """The name of the variable whose secret value stands in `text`; empty where none does."""
    return next((name for name, value in _secrets() if value in text), "")


def concealed(text: str) -> str:
    """`text` with every secret replaced by the name of its variable: `[$HF_TOKEN]`."""
    for name, value in _secrets():
        text = text.replace(value, f"[${name}]")
    return text


def _secrets() -> Iterator[tuple[str, str]]:
    for name, value in sorted(os.environ.items()):
        is_path = value.startswith(("/", "~", "file:"))  # ..._TOKEN_PATH, ..._CREDENTIALS: a file
        if _NAME.search(name) and len(value) >= SHORTEST and not is_path:
            yield name, value
