"""An untrusted file as a bounded stream of bytes: regular, of limited size, read before a deadline.

FFmpeg reads through this stream, not by a path: so it never opens a file of its own, no name
decides how bytes are read, and a member of a tar shard is read like a file.
"""

import difflib
import errno
import os
import stat
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mmdiff.media.atomic import past_stale
from mmdiff.media.limits import GIB, Limits
from mmdiff.media.rejection import Reason, RejectedMedia, Stage, rejected


class MediaFile:
    """Reads of `stream`, until the deadline.

    Reading never raises, as FFmpeg would read on behind the error: the file seems to end, and
    `check` raises what happened.

    Raises RejectedMedia for a stream that cannot seek, is empty or larger than `limits` allow.
    """

    def __init__(self, stream: BinaryIO, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self._failure: RejectedMedia | None = None
        self._stream = stream
        self._position = 0
        self._deadline = time.monotonic() + limits.max_seconds
        try:
            self.size = stream.seek(0, os.SEEK_END)
        except (OSError, ValueError) as error:
            text = f"cannot be read at any place: {error}"
            raise rejected(name, Reason.UNREADABLE, "open", text) from error
        if self.size == 0:
            raise rejected(name, Reason.EMPTY, "open", "is empty: it holds no bytes")
        if self.size > limits.max_file_bytes:
            text = f"is {self.size} bytes large; max_file_bytes is {limits.max_file_bytes}"
            raise rejected(name, Reason.TOO_LARGE, "open", text)

    def rejection(self, reason: Reason, text: str, stage: Stage = "decode") -> RejectedMedia:
        """The error to raise: its message is the name of the file and `text`."""
        return rejected(self.name, reason, stage, text)

    def check_frames(self, count: int, height: int, width: int, stage: Stage = "decode") -> None:
        """Raise RejectedMedia where so many frames of this size pass the limits."""
        limits = self.limits
        if max(height, width) > limits.max_side:
            text = f"has frames of {height} x {width}; max_side is {limits.max_side}: scale it down"
            raise self.rejection(Reason.TOO_LARGE, text, stage)
        if count > limits.max_frames:
            text = f"has {count} frames; max_frames is {limits.max_frames}"
            raise self.rejection(Reason.TOO_LONG, f"{text}: cut it into shorter clips", stage)
        self.check_bytes(count * height * width * 3, stage)

    def check_bytes(self, count: int, stage: Stage = "decode") -> None:
        """Raise RejectedMedia where so many decoded bytes pass the limits."""
        if count > self.limits.max_decoded_bytes:
            most = f"at most {self.limits.max_decoded_bytes / GIB:.1f} are read (max_decoded_bytes)"
            text = f"is too large: {count / GIB:.1f} GiB decoded, {most}; cut it into shorter clips"
            raise self.rejection(Reason.TOO_LARGE, text, stage)

    @property
    def seconds_left(self) -> float:
        """Until the deadline; not negative."""
        return max(self._deadline - time.monotonic(), 0.0)

    def check(self) -> None:
        """Raise RejectedMedia where a read failed or the deadline is over."""
        if self._failure is None and time.monotonic() > self._deadline:
            text = f"takes longer than {self.limits.max_seconds:g} seconds; raise max_seconds"
            self._failure = rejected(self.name, Reason.TOO_SLOW, "decode", text)
        if self._failure is not None:
            raise self._failure

    def read(self, size: int = -1) -> bytes:
        try:
            self.check()
            self._stream.seek(min(self._position, self.size))
            content = self._stream.read(size)
        except RejectedMedia:
            return b""
        except (OSError, ValueError) as error:
            text = f"could not be read: {error}"
            self._failure = rejected(self.name, Reason.UNREADABLE, "decode", text)
            return b""
        self._position += len(content)
        return content

    def read_at(self, position: int, size: int) -> bytes:
        self.seek(position)
        return self.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position; behind the end there is nothing to read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """A regular file, never blocking on a pipe, never touching a device.

    Raises FileNotFoundError, IsADirectoryError, PermissionError or another OSError naming the path.
    """
    _check_regular(path, past_stale(partial(os.stat, path)).st_mode)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)
    descriptor = past_stale(partial(os.open, path, flags))
    with os.fdopen(descriptor, "rb") as stream:
        _check_regular(path, os.fstat(descriptor).st_mode)  # it may be another one by now
        yield stream


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder; give a media file", str(path))
    if not stat.S_ISREG(mode):
        text = "is a pipe, socket or device; give a regular file"
        raise PermissionError(errno.EACCES, text, str(path))


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
