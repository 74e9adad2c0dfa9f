"""The headers of a tar file, one behind the other; what lies between them is not read.

They are read by us and not by `tarfile`, which reads a header of any claimed length into memory
and follows what it says about links and sparse files.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from mmdiff.media.rejection import Reason

BLOCK = tarfile.BLOCKSIZE
MAX_HEADER_BYTES = 2**16  # a long name or a list of attributes
PADDING_BYTES = 2**16  # what is looked at behind the end
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"(\xb5": "zstd"}
FOLDER = "a folder"
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
ATTRIBUTES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
ABOUT_NEXT = (
    *ATTRIBUTES,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
WITHOUT_DATA = {
    tarfile.DIRTYPE: FOLDER,
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a pipe",
}
SPARSE = "a sparse file"


@dataclass(frozen=True)
class TarHeader:
    """kind: what it is, "" for a regular file; offset, size: where its bytes lie"""

    name: str
    kind: str
    offset: int
    size: int


@dataclass(frozen=True)
class TarFault:
    """What ends the reading of a tar file; `cure` stands for the general one of the reason."""

    reason: Reason
    fault: str
    cure: str | None = None


@dataclass(frozen=True)
class AboutNext:
    """What headers say about the one behind them."""

    long_name: str = ""
    attributes: tuple[tuple[str, str], ...] = ()


def read_tar_headers(file: BinaryIO) -> Iterator[TarHeader | TarFault | AboutNext]:
    """Every header of an uncompressed tar file; a fault is the last item."""
    end = file.seek(0, 2)
    file.seek(0)
    if kind := COMPRESSED.get(file.read(2)):
        fault = f"is compressed ({kind}), its members cannot be read at random"
        yield TarFault(Reason.BAD_SHARD, fault, "unpack it to a plain .tar")
        return
    if not end:
        yield TarFault(Reason.EMPTY, "is an empty file")
        return
    offset, about = 0, AboutNext()
    while offset < end:
        file.seek(offset)
        block = file.read(BLOCK)
        if not any(block):
            yield from _behind_end(file, offset)
            return
        header = _parse(block)
        if header is None:
            fault = f"is cut off or damaged: at byte {offset:,} there is no header"
            yield TarFault(Reason.TRUNCATED if len(block) < BLOCK else Reason.BAD_SHARD, fault)
            return
        data, size = offset + BLOCK, _size(header, about)
        if not 0 <= size <= end - data:
            name = repr(header.name[:100])
            fault = f"is cut off: {name} has {size:,} bytes and {end - data:,} are there"
            yield TarFault(Reason.TRUNCATED, fault)
            return
        offset = data + -(-size // BLOCK) * BLOCK
        if header.type not in ABOUT_NEXT:
            yield _header(header, about, data, size)
            about = AboutNext()
        elif size > MAX_HEADER_BYTES:
            fault = f"has a header of {size:,} bytes, more than {MAX_HEADER_BYTES:,}"
            yield TarFault(Reason.BAD_SHARD, fault)
            return
        else:
            about = _about(about, header.type, file.read(size))
            yield about
    fault = f"is cut off: it stops at byte {end:,} without the mark of its end"
    yield TarFault(Reason.TRUNCATED, fault)


def _parse(block: bytes) -> tarfile.TarInfo | None:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def _size(header: tarfile.TarInfo, about: AboutNext) -> int:
    """Bytes behind a header; a size of many digits is an attribute."""
    if header.type in WITHOUT_DATA:
        return 0
    claimed = "" if header.type in ABOUT_NEXT else dict(about.attributes).get("size", "")
    is_number = claimed.isascii() and claimed.isdigit() and len(claimed) < 20
    return int(claimed) if is_number else header.size


def _header(header: tarfile.TarInfo, about: AboutNext, offset: int, size: int) -> TarHeader:
    attributes = dict(about.attributes)
    kind = WITHOUT_DATA.get(header.type, "")
    if header.type == tarfile.GNUTYPE_SPARSE or any(k.startswith("GNU.sparse") for k in attributes):
        kind = SPARSE
    elif not kind and header.type not in REGULAR:
        kind = f"of the unknown type {header.type!r}"
    return TarHeader(attributes.get("path") or about.long_name or header.name, kind, offset, size)


def _about(about: AboutNext, header_type: bytes, content: bytes) -> AboutNext:
    if header_type == tarfile.GNUTYPE_LONGNAME:
        name = content.split(b"\0")[0].decode("utf-8", "surrogateescape")
        return AboutNext(name, about.attributes)
    if header_type in ATTRIBUTES:
        return AboutNext(about.long_name, tuple(_attributes(content)))
    return about


def _attributes(content: bytes) -> Iterator[tuple[str, str]]:
    """ "length key=value" and a line feed, one behind the other (POSIX.1-2001, pax); what cannot be
    read ends them."""
    while content:
        digits = content[:8].partition(b" ")[0]
        if not digits.isdigit() or not len(digits) < int(digits) <= len(content):
            return
        record, content = content[len(digits) + 1 : int(digits) - 1], content[int(digits) :]
        key, _, value = record.decode("utf-8", "surrogateescape").partition("=")
        yield key, value


def _behind_end(file: BinaryIO, offset: int) -> Iterator[TarFault]:
    """Behind the end there are zeros; anything else is a second tar file, glued to the first."""
    file.seek(offset)
    if any(file.read(PADDING_BYTES)):
        fault = f"goes on behind its end, at byte {offset:,}"
        cure = "join tar files with tar --concatenate, or list them one by one"
        yield TarFault(Reason.BAD_SHARD, fault, cure)
