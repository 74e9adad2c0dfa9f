"""One file inside of a tar shard, read in place: where it lies, and a view that ends where it
ends."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import fsspec.core

from mmdiff.media.atomic import past_stale


@dataclass(frozen=True)
class TarMember:
    """`size` bytes at `offset` of a shard. It holds no open file, so it travels to workers,
    forked or spawned; each of them opens the shard anew.

    shard    path or fsspec URL of the tar file
    name     name of the member in it, for messages
    """

    shard: str
    name: str
    offset: int
    size: int

    def open(self) -> BinaryIO:
        """The member as a seekable read-only file; OSError if the shard cannot be opened."""
        return io.BufferedReader(_View(open_shard(self.shard), self.offset, self.size))

    def __str__(self) -> str:
        return f"{self.shard}/{self.name}"


def open_media(media: Path | TarMember) -> BinaryIO:
    """A file on disk or in a shard, to be read."""
    return media.open() if isinstance(media, TarMember) else media.open("rb")


def open_shard(shard: str, *, block_size: int | None = None) -> BinaryIO:
    """A tar file by path or URL, for reading at any place.

    block_size  bytes that a remote file system fetches at once

    OSError if it cannot be opened or not be read at any place, ValueError for an unknown protocol.
    """
    if "://" not in shard:
        return past_stale(lambda: open(shard, "rb"))
    try:
        system, path = fsspec.core.url_to_fs(shard)
    except ImportError as error:
        raise ValueError(f"{shard!r} needs a package that is not installed: {error}") from None
    file: BinaryIO = system.open(path, "rb", block_size=block_size)
    if not file.seekable():
        file.close()
        raise OSError(f"{shard!r} can only be read from its beginning: copy it to a local disk")
    return file


class _View(io.RawIOBase):
    """A part of a file that looks like a whole one; it owns the file and closes it.

    Unlike that of `tarfile`, it needs no pass over the headers before the member, and a shard that
    was cut off meanwhile ends early instead of raising what no reader of media expects.
    """

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self._file, self._offset, self._size, self._position = file, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"cannot seek to {offset} (whence {whence}) in {self._size} bytes")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        self._file.seek(self._offset + self._position)
        found = self._file.read(max(0, min(len(buffer), self._size - self._position)))
        buffer[: len(found)] = found
        self._position += len(found)
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
