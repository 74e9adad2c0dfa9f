"""Names of files in messages: without their folders, and the one that was meant.

Where files lay is nobody else's business: absolute paths within a text go down to their names.
"""

import difflib
import re
import unicodedata
from pathlib import Path

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


def near_name(path: Path) -> str | None:
    """Where there is no file of this name: why not, as a hint, if the folder holds one that is
    nearly named so."""
    slashed = Path(str(path).replace("\\", "/"))
    if slashed != path and slashed.exists():
        return "its folders are parted by backslashes, and it is there with slashes: write those"
    if not path.parent.is_dir():
        return None
    names = [one.name for one in path.parent.iterdir()]
    for name in names:
        if unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", path.name):
            form = "NFD" if unicodedata.is_normalized("NFD", name) else "NFC"
            return f"a file of this name in the other Unicode form ({form}) is there; use that form"
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"did you mean {path.with_name(near[0])}?" if near else None
