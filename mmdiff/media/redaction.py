"""What no file that is written may hold: the folders of absolute paths, secrets of the environment.

Where files lay is nobody else's business: absolute paths within a text go down to their names.
Tokens of the hub and of loggers are found by the names of their variables. The libraries that need
them read the variables themselves, so mmdiff never has a use for the values.
"""

import os
import re
from collections.abc import Iterator

# Within quotes a path ends with them, and may hold anything else. Elsewhere it ends where a list or
# a sentence goes on; it goes over a space where the next word belongs to a folder (`/my data/x`).
# Slashes of 1/16, and/or, a/b and https://host/x begin no path.
_ROOT = r"(?:file://(?=/)|[A-Za-z]:(?=[/\\])|\\(?=\\)|(?<!:)(?=/)|(?=/(?!/)))"
_BEFORE = r"(?<![\w./\\~-])"
_END = r"\s'\",;=()\[\]{}<>|"
_OVER_A_SPACE = r"[ ](?=[^'\",;=()\[\]{}<>|/\\\n]{0,200}[^\s'\",;=()\[\]{}<>|/\\][/\\])"
_QUOTED = re.compile(rf"(?P<quote>['\"])(?P<path>{_ROOT}[/\\](?:(?!(?P=quote))[^\n])*)(?P=quote)")
_BARE = re.compile(rf"{_BEFORE}(?P<path>{_ROOT}[/\\][^{_END}](?:[^{_END}]|{_OVER_A_SPACE})*)")
_WHOLE = re.compile(rf"(?P<path>{_ROOT}[/\\][^\n]*)\Z")
_SECRET = re.compile(
    r"(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS|API_?KEY|ACCESS_?KEY)S?(_|$)", re.I
)
SHORTEST = 8  # shorter values are switches such as TOKENIZERS_PARALLELISM=false, or placeholders


def without_folders(text: str) -> str:
    """`text` with the last part alone of every absolute path in it; relative ones stay.

    A text that begins with one is taken to be one, spaces included.
    """
    if whole := _WHOLE.match(text):
        return _name(whole["path"])
    return _BARE.sub(_shortened, _QUOTED.sub(_shortened, text))


def _shortened(found: re.Match[str]) -> str:
    return found[0].replace(found["path"], _name(found["path"]))


def _name(path: str) -> str:
    parts = [part for part in re.split(r"[/\\]+", path) if part]
    return parts[-1] if parts else path


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
        if _SECRET.search(name) and len(value) >= SHORTEST and not is_path:
            yield name, value
