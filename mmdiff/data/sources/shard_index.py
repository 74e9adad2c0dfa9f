"""What lies where in a tar shard: one pass over its headers, nothing is extracted."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from mmdiff.data.sources.caption import MAX_BYTES
from mmdiff.data.sources.listing import left_out, suffix_of
from mmdiff.data.sources.tar_member import TarMember, open_shard
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection, printable

REMOTE_BYTES = 2**16  # what a remote file system fetches at once while headers are read
MAX_MEMBERS = 100_000
MAX_HEADER_BYTES = 2**16
TEXT_BYTES = {".txt": MAX_BYTES, ".json": 2**18}  # texts that are read, and how long one may be
MAX_SHARD_TEXT_BYTES = 2**26
PADDING_BYTES = 2**16  # zeros that are looked at behind the end
SMALLER = "cut it into smaller shards"


@dataclass
class ShardIndex:
    """members: the regular files of a shard, in its order; texts: what its captions and JSON files
    hold, by name, those of bounded size; rejections: what else it holds"""

    members: list[TarMember] = field(default_factory=list)
    texts: dict[str, bytes] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)


# what tarfile reads into memory whole: long names, lists of attributes
IN_MEMORY = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


class _BoundedHeader(tarfile.TarInfo):
    """A header that claims gigabytes in memory is damaged."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_BoundedHeader":
        header = super().frombuf(buf, encoding, errors)
        if header.type in IN_MEMORY and header.size > MAX_HEADER_BYTES:
            raise tarfile.HeaderError(f"a header of {header.size:,} bytes")
        return header


def index_shard(shard: str, *, label: str, max_members: int = MAX_MEMBERS) -> ShardIndex:
    """Index a shard by path or URL; `label` is what rejections call it.

    A shard that is compressed, no tar file, or has more than `max_members` members or
    `MAX_SHARD_TEXT_BYTES` of captions is rejected whole; one that is cut off or damaged keeps the
    members before that place. Links, devices, sparse files, and names that are absolute or climb
    are rejected one by one.
    """
    try:
        with open_shard(shard, block_size=REMOTE_BYTES) as file:
            return _indexed(shard, label, file, max_members)
    except FileNotFoundError:
        return _refused(label, Reason.MISSING, "is not there")
    except OSError as error:
        return _refused(label, Reason.UNREADABLE, f"cannot be read ({error})")


def _indexed(shard: str, label: str, file: BinaryIO, max_members: int) -> ShardIndex:
    size = file.seek(0, 2)
    file.seek(0)
    try:
        archive = tarfile.TarFile(fileobj=file, tarinfo=_BoundedHeader)
    except tarfile.TarError as error:
        if not size:
            return _refused(label, Reason.EMPTY, "is an empty file")
        hint = "unpack it to a plain .tar if it is compressed, or fetch it again"
        return _refused(label, Reason.BAD_SHARD, f"is no uncompressed tar ({error})", hint)
    index, text_bytes = ShardIndex(), 0
    for count, header in enumerate(_headers(archive), start=1):
        if count > max_members:
            fault = f"has more than {max_members:,} members"
            return _refused(label, Reason.TOO_LARGE, fault, SMALLER)
        if header.isdir():
            continue
        try:
            member = _member(shard, label, header)
        except RejectedMedia as error:
            index.rejections.append(error.rejection)
            continue
        if member.offset + member.size > size:
            there = f"{max(0, size - member.offset):,} are there"
            fault = f"is cut off: {member.name[:100]!r} has {member.size:,} bytes and {there}"
            index.rejections += _refused(label, Reason.TRUNCATED, fault).rejections
            return index
        index.members.append(member)
        if member.size <= TEXT_BYTES.get(suffix_of(member.name), -1):
            text_bytes += member.size
            if text_bytes > MAX_SHARD_TEXT_BYTES:
                fault = f"has more than {MAX_SHARD_TEXT_BYTES:,} bytes of captions"
                return _refused(label, Reason.TOO_LARGE, fault, SMALLER)
            file.seek(member.offset)
            index.texts.setdefault(member.name, file.read(member.size))
    index.rejections += _behind_end(file, label, archive.offset, size)
    if not index.members and not index.rejections:
        return _refused(label, Reason.EMPTY, "is a tar file without files")
    return index


def _headers(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Until the end, or the first header that cannot be read."""
    while True:
        try:
            header = archive.next()
        except (tarfile.TarError, ValueError):
            return
        if header is None:
            return
        yield header
        archive.members.clear()  # type: ignore[attr-defined]  # it would keep all of them


def _behind_end(file: BinaryIO, label: str, offset: int, size: int) -> list[Rejection]:
    """A tar ends with zeros. `tarfile` takes a damaged header, and a second tar that is glued to
    the first, for the end as well."""
    file.seek(offset)
    if offset < size and not any(file.read(PADDING_BYTES)):
        return []
    is_cut = size - offset < tarfile.BLOCKSIZE
    fault = f"is {'cut off' if is_cut else 'damaged, or two tar files in one,'} at byte {offset:,}"
    reason = Reason.TRUNCATED if is_cut else Reason.BAD_SHARD
    return _refused(label, reason, fault).rejections


def _member(shard: str, label: str, header: tarfile.TarInfo) -> TarMember:
    whole, name = f"{label}/{header.name}", header.name
    if not header.isreg() or header.issparse() or header.size < 0:
        raise left_out(whole, Reason.BAD_SHARD, f"is no plain file (type {header.type!r})")
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or name[1:2] == ":":
        fault = "has a name that is absolute, empty or climbs"
        hint = "write the shard anew, with names relative to its root"
        raise left_out(whole, Reason.EXTERNAL, fault, hint=hint)
    if "\0" in name or name.encode("utf-8", "ignore").decode() != name:
        raise left_out(whole, Reason.BAD_SHARD, "has a name that is no UTF-8 text")
    name = "/".join(part for part in name.split("/") if part not in ("", "."))
    return TarMember(shard, name, header.offset_data, header.size)


def _refused(label: str, reason: Reason, fault: str, hint: str | None = None) -> ShardIndex:
    rejection = left_out(label, reason, printable(fault), hint=hint).rejection
    return ShardIndex(rejections=[rejection])
