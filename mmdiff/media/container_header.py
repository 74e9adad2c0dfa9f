"""The first look at a media file: what container it is, and claims that FFmpeg would believe."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mmdiff.media.media_file import MediaFile
from mmdiff.media.rejection import Reason, rejected

Container = Literal["mp4", "matroska", "riff", "flac", "ogg", "mp3"]

MAGIC: dict[bytes, Container] = {
    b"\x1aE\xdf\xa3": "matroska",
    b"RIFF": "riff",
    b"RF64": "riff",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"ID3": "mp3",
}
FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"pnot")
NESTED_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")
COUNT_AT = {b"stsz": 8, b"stz2": 8, b"trun": 4}  # bytes into the box at which samples are counted
MOST_BOXES = 100_000
LARGEST_INDEX = 2**26  # bytes of an mp4's index that are searched
MATROSKA_SEGMENT = b"\x18\x53\x80\x67"
RIFF_SLACK = 16  # bytes: writers count their own headers wrong
UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # of a RIFF that was written to a pipe


@dataclass(frozen=True)
class Box:
    """A box of an mp4: its name, and where its content begins and ends in the file, in bytes."""

    name: bytes
    start: int
    end: int


def container_of(file: MediaFile) -> Container | None:
    """By the first bytes; None where they are of no container that is read."""
    start = _bytes_at(file, 0, 12)
    if start[4:8] in FIRST_BOXES:
        return "mp4"
    for magic, container in MAGIC.items():
        if start.startswith(magic):
            return container
    is_mpeg_audio = len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0
    return "mp3" if is_mpeg_audio else None


def check_claims(file: MediaFile, container: Container | None) -> None:
    """Raise RejectedMedia for an mp4 that claims to hold more samples than it has bytes, or that
    lost a track, or the end of its index: FFmpeg makes do with the tracks in front of it.

    FFmpeg reserves 24 bytes for each claimed sample: 200 bytes of a file could ask for gigabytes.
    And it skips what it does not know: one flipped bit in a name, and a clip has no picture.
    """
    if container != "mp4":
        return
    num_tracks = num_track_headers = 0
    for box in _boxes(file, 0, file.size):
        num_tracks += box.name == b"trak"
        if box.name == b"moov":
            if box.end > file.size:
                text = "is truncated: it ends within its index; fetch it again"
                raise rejected(file.name, Reason.TRUNCATED, "open", text)
            size = min(box.end - box.start, LARGEST_INDEX)
            num_track_headers += _bytes_at(file, box.start, size).count(b"tkhd")
        offset = COUNT_AT.get(box.name)
        if offset is None:
            continue
        count = int.from_bytes(_bytes_at(file, box.start + offset, 4), "big")
        if count > file.size:
            text = f"claims {count} samples in {file.size} bytes; encode it anew from its source"
            raise rejected(file.name, Reason.DAMAGED, "open", text)
    if num_tracks < num_track_headers:
        text = f"is damaged: {num_tracks} of {num_track_headers} tracks left; fetch it again"
        raise rejected(file.name, Reason.DAMAGED, "open", text)


def is_cut_off(file: MediaFile, container: Container | None) -> bool:
    """Whether the file states that it is longer than it is."""
    if container == "mp4":
        return any(box.end > file.size for box in _boxes(file, 0, file.size, nested=()))
    if container == "riff":
        stated = int.from_bytes(_bytes_at(file, 4, 4), "little")
        return stated not in UNKNOWN_SIZES and stated + 8 > file.size + RIFF_SLACK
    return container == "matroska" and _matroska_end(file) > file.size


def _matroska_end(file: MediaFile) -> int:
    """Where the segment should end, in bytes; 0 where that is not known."""
    width, size = _element_size(file, 4)
    name_at = 4 + width + size
    if _bytes_at(file, name_at, 4) != MATROSKA_SEGMENT:
        return 0
    width, size = _element_size(file, name_at + 4)
    is_unknown = size == (1 << 7 * width) - 1  # written live: all bits are set
    return 0 if is_unknown else name_at + 4 + width + size


def _element_size(file: MediaFile, place: int) -> tuple[int, int]:
    """How many bytes the number at `place` takes, and the number (RFC 8794, section 4)."""
    content = _bytes_at(file, place, 8)
    if not content or not content[0]:
        return 1, 0
    width = 9 - content[0].bit_length()
    return width, int.from_bytes(content[:width], "big") & ((1 << 7 * width) - 1)


def _boxes(
    file: MediaFile, start: int, end: int, *, nested: tuple[bytes, ...] = NESTED_BOXES
) -> Iterator[Box]:
    """All boxes, those in others too: depth first, at most `MOST_BOXES`."""
    ends, seen = [end], 0
    while start + 8 <= ends[0] and seen < MOST_BOXES:
        header = _bytes_at(file, start, 16)
        size, name, content = int.from_bytes(header[:4], "big"), header[4:8], start + 8
        if size == 1:
            size, content = int.from_bytes(header[8:16], "big"), start + 16
        box_end = file.size if size == 0 else start + size
        if box_end < content:  # no box: the rest of this one cannot be read as boxes
            box_end = ends[-1]
        seen += 1
        yield Box(name, content, box_end)
        if name in nested:
            ends.append(min(box_end, ends[-1]))
            start = content
        else:
            start = box_end
        while len(ends) > 1 and start + 8 > ends[-1]:
            start = ends.pop()


def _bytes_at(file: MediaFile, place: int, size: int) -> bytes:
    file.seek(place, os.SEEK_SET)
    return file.read(size)
