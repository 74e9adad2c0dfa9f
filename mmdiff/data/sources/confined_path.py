"""Names from a list to files under a root: a list is data, and data must not point elsewhere."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mmdiff.data.sources.list_fault import list_fault
from mmdiff.media.media_file import near_name
from mmdiff.media.rejection import Reason, Rejection

PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")  # also a Windows drive
INSIDE = "give a path relative to the root and under it, or set data.allow_external=true"


@dataclass(frozen=True)
class ConfinedPath:
    """A regular file that a list may name.

    key    its path relative to the root; the absolute path of a file outside
    path   where it lies, links followed
    """

    key: str
    path: Path


def media_root(root: str | os.PathLike[str]) -> Path:
    """The folder of a source, absolute, links followed; ValueError if there is none."""
    if not str(root).strip():
        raise ValueError(
            "root is empty; give the folder of your clips, or . for the working folder"
        )
    path = Path(root).expanduser()
    if not path.is_dir():
        found = "a file" if path.exists() else "not there"
        raise ValueError(f"root is {str(root)!r}, which is {found}; give the folder of your clips")
    return path.resolve()


def confined_path(
    name: str,
    root: Path,
    *,
    base: Path | None = None,
    allow_external: bool = False,
    looks_for_near: bool = True,
) -> ConfinedPath | Rejection:
    """The file that `name` stands for, seen from `base` (the root unless given).

    root             as `media_root` gives it
    looks_for_near   for a name that is not there, among all names of its folder

    Left out are absolute names, names that climb with "..", links that lead out of the root,
    protocols, network shares and NUL. `allow_external` lets local paths lead out of the root;
    nothing lets in what is not a local file.
    """
    refusal = _refusal(name, allow_external)
    if refusal is not None:
        return refusal
    local = unquote(urlsplit(name).path) if _is_file_url(name) else name
    wanted = (base or root) / local
    return confined_file(
        wanted, root, name=name, allow_external=allow_external, looks_for_near=looks_for_near
    )


def confined_file(
    wanted: Path,
    root: Path,
    *,
    name: str,
    allow_external: bool = False,
    looks_for_near: bool = True,
) -> ConfinedPath | Rejection:
    """The file at `wanted`, if it is a regular one that lies under the root when links are
    followed; `name` is what it is called in the message."""
    if not _is_text(name):
        return list_fault(name, Reason.UNREADABLE, "is a name that is not UTF-8: rename the file")
    try:
        path = os.path.realpath(wanted, strict=True)
        status = os.stat(path)
    except FileNotFoundError:
        near = near_name(wanted) if looks_for_near else None
        return list_fault(name, Reason.MISSING, "is not there", cure=near)
    except OSError as error:  # a loop of links, a name too long, a folder that may not be read
        return list_fault(name, Reason.UNREADABLE, f"cannot be read ({error.strerror})")
    under = f"{root}{os.sep}".replace("//", "/")  # texts: a million paths would take minutes
    if not allow_external and not path.startswith(under):
        return list_fault(name, Reason.EXTERNAL, "links to a place outside of the root")
    if not stat.S_ISREG(status.st_mode):
        return list_fault(name, Reason.UNREADABLE, "is not a regular file")
    if not os.access(path, os.R_OK):
        return list_fault(name, Reason.UNREADABLE, "may not be read by this user")
    plain = os.path.normpath(wanted)
    return ConfinedPath(plain.removeprefix(under), Path(path))


def _refusal(name: str, allow_external: bool) -> Rejection | None:
    if not name or "\0" in name:
        return list_fault(name, Reason.BAD_ROW, "is no file name" if name else "is empty")
    if name.startswith("\\\\"):
        fault = "is a network share"
        return list_fault(name, Reason.EXTERNAL, fault, cure="mount it and name a local path")
    if PROTOCOL.match(name) and not (allow_external and _is_file_url(name)):
        fault = f"has the protocol or drive {name.split(':')[0]!r}"
        cure = "fetch it and name the local file; rename a file whose name has a colon"
        return list_fault(name, Reason.EXTERNAL, fault, cure=cure)
    if allow_external:
        return None
    if name.startswith("/"):
        return list_fault(name, Reason.EXTERNAL, "is an absolute path", cure=INSIDE)
    if ".." in PurePosixPath(name.replace("\\", "/")).parts:
        return list_fault(name, Reason.EXTERNAL, 'climbs with ".."', cure=INSIDE)
    return None


def _is_file_url(name: str) -> bool:
    return name.startswith(("file:///", "file://localhost/"))


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
