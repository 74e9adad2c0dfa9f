"""What lies where in a tar shard: one pass over its headers, nothing is extracted."""

from dataclasses import dataclass, field
from typing import BinaryIO

from mmdiff.data.sources.caption_check import MAX_BYTES
from mmdiff.data.sources.list_fault import list_fault, printable
from mmdiff.data.sources.stem_files import suffix_of
from mmdiff.data.sources.tar_headers import FOLDER, TarFault, TarHeader, read_tar_headers
from mmdiff.data.sources.tar_member import TarMember, open_shard
from mmdiff.media.rejection import Reason, Rejection

REMOTE_BYTES = 2**16  # what a remote file system fetches at once while headers are read
MAX_MEMBERS = 100_000
MAX_MEMBER_BYTES = 2**34
TEXT_BYTES = {".txt": MAX_BYTES, ".json": 2**18}  # texts that are read, and how long one may be
MAX_SHARD_TEXT_BYTES = 2**26


@dataclass(frozen=True)
class ShardIndex:
    """members: the regular files of a shard, in its order; texts: what its captions and JSON files
    hold, by name, those of bounded size; rejections: what else it holds"""

    members: tuple[TarMember, ...] = ()
    texts: dict[str, bytes] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()


def index_shard(
    shard: str, *, label: str | None = None, max_members: int = MAX_MEMBERS
) -> ShardIndex:
    """Index a shard by path or URL; `label` is what rejections call it.

    A shard that is compressed, no tar file, or has more than `max_members` members or
    `MAX_SHARD_TEXT_BYTES` of captions is rejected whole; one that is cut off or damaged keeps the
    members before that place. Links, devices, sparse files, and names that are absolute or climb
    are rejected one by one.
    """
    label = label or shard
    try:
        with open_shard(shard, block_size=REMOTE_BYTES) as file:
            return _index(shard, label, file, max_members)
    except FileNotFoundError:
        return _refused(label, TarFault(Reason.MISSING, "is not there"))
    except OSError as error:
        return _refused(label, TarFault(Reason.UNREADABLE, f"cannot be read ({_line(error)})"))


def _index(shard: str, label: str, file: BinaryIO, max_members: int) -> ShardIndex:
    members: list[TarMember] = []
    texts: dict[str, bytes] = {}
    rejections: list[Rejection] = []
    smaller = "cut it into smaller shards"
    text_bytes = 0
    for count, header in enumerate(read_tar_headers(file), start=1):
        if count > max_members:
            fault = f"has more than {max_members:,} members"
            return _refused(label, TarFault(Reason.TOO_LARGE, fault, smaller))
        found = _member(shard, label, header) if isinstance(header, TarHeader) else None
        if isinstance(header, TarFault):
            rejections += _refused(label, header).rejections
        elif isinstance(found, Rejection):
            rejections.append(found)
        elif isinstance(found, TarMember):
            members.append(found)
            if found.size <= TEXT_BYTES.get(suffix_of(found.name), -1):
                text_bytes += found.size
                if text_bytes > MAX_SHARD_TEXT_BYTES:
                    fault = f"has more than {MAX_SHARD_TEXT_BYTES:,} bytes of captions"
                    return _refused(label, TarFault(Reason.TOO_LARGE, fault, smaller))
                file.seek(found.offset)
                texts.setdefault(found.name, file.read(found.size))
    if not members and not rejections:
        return _refused(label, TarFault(Reason.EMPTY, "is a tar file without files"))
    return ShardIndex(tuple(members), texts, tuple(rejections))


def _member(shard: str, label: str, header: TarHeader) -> TarMember | Rejection | None:
    """A file, why it is refused, or None for a folder."""
    whole = f"{label}/{header.name}"
    if header.kind == FOLDER:
        return None
    if header.kind:
        return list_fault(whole, Reason.BAD_SHARD, f"is {header.kind}")
    parts = header.name.replace("\\", "/").split("/")
    if not parts[0] or ".." in parts or header.name[1:2] == ":":
        fault = "has a name that is absolute, empty or climbs"
        cure = "write the shard anew, with names relative to its root"
        return list_fault(whole, Reason.EXTERNAL, fault, cure=cure)
    if "\0" in header.name or printable(header.name) != header.name:
        return list_fault(whole, Reason.BAD_SHARD, "has a name that is no UTF-8 text")
    if header.size > MAX_MEMBER_BYTES:
        fault = f"has {header.size:,} bytes; a member may have {MAX_MEMBER_BYTES:,}"
        return list_fault(whole, Reason.TOO_LARGE, fault)
    name = "/".join(part for part in header.name.split("/") if part not in ("", "."))
    return TarMember(shard, name, header.offset, header.size)


def _refused(label: str, fault: TarFault) -> ShardIndex:
    rejection = list_fault(label, fault.reason, fault.fault, cure=fault.cure)
    return ShardIndex(rejections=(rejection,))


def _line(error: OSError) -> str:
    return " ".join(str(error).split())
