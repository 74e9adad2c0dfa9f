"""The first look at a media file: what container it is, and claims that FFmpeg would believe."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mmdiff.media.media_file import MediaFile
from mmdiff.media.rejection import Reason, rejected

Container = Literal[
    "mp4", "matroska", "riff", "flac", "ogg", "mp3", "mpegts", "mpeg", "flv", "asf", "aiff"
]

MAGIC: dict[bytes, Container] = {
    b"\x1aE\xdf\xa3": "matroska",
    b"RIFF": "riff",
    b"RF64": "riff",
    b"fLaC": "flac",
    b"OggS": "ogg",
    b"ID3": "mp3",
    b"\0\0\1\xba": "mpeg",
    b"FLV\1": "flv",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
}
PACKET_SIZES = ((0, 188), (4, 192), (0, 204))  # of MPEG-TS, AVCHD, and with error correction
FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"pnot")
NESTED_BOXES = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"moof", b"traf")
KNOWN_NAMES = (  # of four letters each
    b"moovmvhdtrakudtametamvexiodspsshtkhdtreftrgredtselstmdiamdhdhdlrminfelngvmhdsmhdhmhdsthd"
    b"nmhdgmhddinfstblstsdsttscttscslgstscstszstz2stcoco64stssstshpadbstdpsdtpsbgpsgpdsubssaiz"
    b"saiostpsstvpmooftrafmfhdtfhdtfdttrunsencfreeskipwideuuidloadmattclipcrgntaptctabimapkmat"
    b"txascmovrmra"
)
KNOWN_BOXES = {KNOWN_NAMES[place : place + 4] for place in range(0, len(KNOWN_NAMES), 4)}
MISREAD_BOXES = {
    bytes(byte ^ (1 << bit if place == at else 0) for place, byte in enumerate(name))
    for name in KNOWN_BOXES
    for at in range(4)
    for bit in range(8)
} - KNOWN_BOXES  # one bit from a known name, and no name that anybody gave
TRACK_BOXES = (b"trak", b"mdia", b"minf", b"stbl")  # one of each for a track
COUNT_AT = {b"stsz": 8, b"stz2": 8, b"trun": 4}  # bytes into the box at which samples are counted
MOST_BOXES = 100_000
LARGEST_INDEX = 2**26  # bytes of an mp4's index that are searched
MEDIA_HEADERS = {b"vmhd": "video", b"smhd": "audio"}  # what a track of each kind must hold


@dataclass(frozen=True)
class Box:
    """A box of an mp4: its name, and where its content begins and ends in the file, in bytes.

    is_inside  whether it ends where the box around it does, or before
    """

    name: bytes
    start: int
    end: int
    is_inside: bool


def container_of(file: MediaFile) -> Container | None:
    """By the first bytes; None where they are of no container that is read."""
    start = bytes_at(file, 0, 12)
    if start[4:8] in FIRST_BOXES:
        return "mp4"
    for magic, container in MAGIC.items():
        if start.startswith(magic):
            return container
    if start.startswith(b"FORM") and start[8:11] == b"AIF":
        return "aiff"
    start = bytes_at(file, 0, 4096)
    for first, size in PACKET_SIZES:
        marks = start[first::size]
        if len(marks) > 4 and set(marks) == {0x47}:
            return "mpegts"
    is_mpeg_audio = len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0
    return "mp3" if is_mpeg_audio else None


def checked_tracks(file: MediaFile, container: Container | None) -> set[str]:
    """ "video", "audio" or both: what the tracks of an mp4 hold by their media headers; of other
    containers nothing is known.

    Raises RejectedMedia for an mp4 that claims to hold more samples than it has bytes, or whose
    index does not fit together, lost a track, or its end: FFmpeg makes do with what it knows.

    FFmpeg reserves 24 bytes for each claimed sample: 200 bytes of a file could ask for gigabytes.
    And it skips what it does not know: one flipped bit in a name, and a clip has no picture.
    """
    kinds: set[str] = set()
    if container != "mp4":
        return kinds
    counts = dict.fromkeys(TRACK_BOXES, 0)
    num_track_headers = 0
    for box in boxes_of(file):
        if box.name in MEDIA_HEADERS:
            kinds.add(MEDIA_HEADERS[box.name])
        if box.name in counts:
            counts[box.name] += 1
        if box.name in MISREAD_BOXES:
            text = f"is damaged: it has a part named {box.name!r}; fetch it again"
            raise rejected(file.name, Reason.DAMAGED, "open", text)
        if not box.is_inside:
            text = "is damaged: a part of its index ends behind the one around it; fetch it again"
            raise rejected(file.name, Reason.DAMAGED, "open", text)
        if box.name == b"moov":
            if box.end > file.size:
                text = "is truncated: it ends within its index; fetch it again"
                raise rejected(file.name, Reason.TRUNCATED, "open", text)
            size = min(box.end - box.start, LARGEST_INDEX)
            num_track_headers += bytes_at(file, box.start, size).count(b"tkhd")
        offset = COUNT_AT.get(box.name)
        if offset is None:
            continue
        count = int.from_bytes(bytes_at(file, box.start + offset, 4), "big")
        if count > file.size:
            text = f"claims {count} samples in {file.size} bytes; encode it anew from its source"
            raise rejected(file.name, Reason.DAMAGED, "open", text)
    num_tracks = max(counts[b"trak"], num_track_headers)
    if min(counts.values()) < num_tracks:
        text = f"is damaged: {min(counts.values())} of {num_tracks} tracks left; fetch it again"
        raise rejected(file.name, Reason.DAMAGED, "open", text)
    return kinds


def boxes_of(file: MediaFile, *, nested: tuple[bytes, ...] = NESTED_BOXES) -> Iterator[Box]:
    """All boxes, those in others too: depth first, at most `MOST_BOXES`."""
    start, ends, seen = 0, [file.size], 0
    while start + 8 <= ends[0] and seen < MOST_BOXES:
        header = bytes_at(file, start, 16)
        size, name, content = int.from_bytes(header[:4], "big"), header[4:8], start + 8
        if size == 1:
            size, content = int.from_bytes(header[8:16], "big"), start + 16
        box_end = ends[-1] if size == 0 else start + size
        if box_end < content:  # no box: the rest of this one cannot be read as boxes
            box_end = ends[-1]
        seen += 1
        yield Box(name, content, box_end, len(ends) == 1 or box_end <= ends[-1])
        if name in nested:
            ends.append(min(box_end, ends[-1]))
            start = content
        else:
            start = box_end
        while len(ends) > 1 and start + 8 > ends[-1]:
            start = ends.pop()


def bytes_at(file: MediaFile, place: int, size: int) -> bytes:
    file.seek(place, os.SEEK_SET)
    return file.read(size)
