"""The outermost elements of a matroska: where the file should end, and the checksums it carries."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mmdiff.media.container_header import bytes_at
from mmdiff.media.media_file import BLOCK, MediaFile
from mmdiff.media.rejection import Reason, rejected

SEGMENT = b"\x18\x53\x80\x67"
INDICES = (b"\x1c\x53\xbb\x6b", b"\x12\x54\xc3\x67")  # Cues and Tags stand at the end
CHECKSUM = b"\xbf\x84"  # CRC-32, of four bytes: the first element of what it is of
LONGEST_HEADER = 12  # bytes of a name and a size
LARGEST_SUMMED = 2**26  # bytes of an element whose checksum is looked at
MOST_ELEMENTS = 1_000_000
PART = 2**20


@dataclass(frozen=True)
class Element:
    """Its name, and where its content begins and ends in the file, in bytes; the end is None where
    it was written live and does not know it."""

    name: bytes
    start: int
    end: int | None


def check_sums(file: MediaFile) -> None:
    """Raise RejectedMedia where a checksum does not fit, of the elements that were read (RFC 8794,
    section 11.3.1). What writes none has none to check."""
    blocks = file.blocks_read  # now: what follows reads too
    for element in elements_of(file):
        if element.end is None or element.end - element.start > LARGEST_SUMMED:
            continue
        if element.start // BLOCK not in blocks:
            continue
        stated = bytes_at(file, element.start, 6)
        if stated[:2] != CHECKSUM or element.end > file.size:
            continue
        if _sum(file, element.start + 6, element.end) != int.from_bytes(stated[2:], "little"):
            text = "is damaged: a checksum in it does not fit; fetch it again"
            raise rejected(file.name, Reason.DAMAGED, "decode", text)


def is_cut_in_cluster(file: MediaFile) -> bool:
    """Whether the last element that is there, whole or in part, holds media, or may: the index that
    ends a file comes when all of them are written."""
    last = None
    for element in elements_of(file):
        last = element
    return last is None or last.end is None or last.name not in INDICES


def segment_of(file: MediaFile) -> tuple[int, int]:
    """Where the content of the file begins and should end, in bytes; the end is 0 where it is not
    known."""
    header = _element(file, 0)
    segment = None if header is None or header.end is None else _element(file, header.end)
    if segment is None or segment.name != SEGMENT:
        return 0, 0
    return segment.start, segment.end or 0


def elements_of(file: MediaFile) -> Iterator[Element]:
    """The elements of the segment, in order, as far as they can be followed."""
    place = segment_of(file)[0]
    for _ in range(MOST_ELEMENTS if place else 0):
        element = _element(file, place)
        if element is None:
            return
        yield element
        if element.end is None:
            return
        place = element.end


def _element(file: MediaFile, place: int) -> Element | None:
    """The one that begins at `place`; None where there is none (RFC 8794, sections 4 and 5)."""
    header = bytes_at(file, place, LONGEST_HEADER)
    if not header or header[0] < 16:
        return None
    length = 9 - header[0].bit_length()
    name, rest = header[:length], header[length:]
    if not rest or not rest[0]:
        return None
    width = 9 - rest[0].bit_length()
    largest = (1 << 7 * width) - 1
    size = int.from_bytes(rest[:width], "big") & largest
    start = place + length + width
    return Element(name, start, None if size == largest else start + size)


def _sum(file: MediaFile, start: int, end: int) -> int:
    total = 0
    for place in range(start, end, PART):
        total = zlib.crc32(bytes_at(file, place, min(PART, end - place)), total)
    return total
