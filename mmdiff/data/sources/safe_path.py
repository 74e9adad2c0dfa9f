"""Names from a list to files under a root: a list is data, and data must not point elsewhere."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mmdiff.data.sources.listing import left_out
from mmdiff.media.media_file import near_name
from mmdiff.media.rejection import Reason

PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")  # also a Windows drive
INSIDE = "give a path relative to the root and under it, or set data.allow_external=true"
MOST_COMPARED = 20  # missing names; each costs a second in a folder of a million


@dataclass(frozen=True)
class SafePath:
    """A regular file that a list may name.

    key    its path relative to the root; the absolute path of a file outside
    path   where it lies, links followed
    """

    key: str
    path: Path


class MediaRoot:
    """The folder of a source, and the files that it may name: those inside the root.

    allow_external  let names and links lead out of the root, to other local files

    Raises ValueError if there is no such folder.
    """

    def __init__(self, root: str | os.PathLike[str], *, allow_external: bool = False) -> None:
        if not str(root).strip():
            raise ValueError(
                "root is empty; give the folder of your clips, or . for the working folder"
            )
        path = Path(root).expanduser()
        if not path.is_dir():
            found = "a file" if path.exists() else "not there"
            raise ValueError(
                f"root is {str(root)!r}, which is {found}; give the folder of your clips"
            )
        self.path, self.allow_external = path.resolve(), allow_external
        self._under = f"{self.path}{os.sep}".replace("//", "/")
        self._num_missing = 0

    def holds(self, path: str | Path) -> bool:
        """Whether the root holds `path`, links followed, or may name what lies outside."""
        return self.allow_external or os.path.realpath(path).startswith(self._under)

    def named(self, name: str, *, base: Path | None = None) -> SafePath:
        """The file that `name` of a list stands for, seen from `base` (the root unless given).

        Raises RejectedMedia for absolute names, names that climb with "..", links that lead out of
        the root, protocols, network shares and NUL; `allow_external` lets in local files only.
        """
        if not name or "\0" in name:
            raise left_out(name, Reason.BAD_ROW, "is no file name")
        is_file_url = name.startswith(("file:///", "file://localhost/"))
        is_climbing = ".." in PurePosixPath(name.replace("\\", "/")).parts
        fault, hint = "", "fetch or mount it and name the local file, without a colon"
        if name.startswith("\\\\"):
            fault = "is a network share"
        elif PROTOCOL.match(name) and not (self.allow_external and is_file_url):
            fault = f"has the protocol or drive {name.split(':')[0]!r}"
        elif not self.allow_external and (name.startswith("/") or is_climbing):
            fault, hint = 'climbs with ".."' if is_climbing else "is an absolute path", INSIDE
        if fault:
            raise left_out(name, Reason.EXTERNAL, fault, hint=hint)
        local = unquote(urlsplit(name).path) if is_file_url else name
        return self.found((base or self.path) / local, name=name)

    def found(self, wanted: Path, *, name: str) -> SafePath:
        """The file at `wanted`, if it is a regular one inside the root when links are followed;
        `name` is what it is called in the message."""
        if name.encode("utf-8", "ignore").decode() != name:
            raise left_out(name, Reason.UNREADABLE, "is a name that is not UTF-8: rename the file")
        try:
            path = os.path.realpath(wanted, strict=True)
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            self._num_missing += 1
            near = near_name(wanted) if self._num_missing <= MOST_COMPARED else None
            raise left_out(name, Reason.MISSING, "is not there", hint=near) from None
        except OSError as error:  # a loop of links, a name too long, a folder that may not be read
            fault = f"cannot be read ({error.strerror})"
            raise left_out(name, Reason.UNREADABLE, fault) from None
        # texts, not Path: a million of those would take minutes
        if not self.allow_external and not path.startswith(self._under):
            raise left_out(name, Reason.EXTERNAL, "links to a place outside of the root")
        if not (stat.S_ISREG(mode) and os.access(path, os.R_OK)):
            raise left_out(name, Reason.UNREADABLE, "is not a regular file that this user may read")
        return SafePath(os.path.normpath(wanted).removeprefix(self._under), Path(path))
