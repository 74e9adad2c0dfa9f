"""The first look at a media file: what it is by its first bytes, what kinds are not read, and what
it states about itself that FFmpeg would believe.

FFmpeg reads a file that is cut off up to its last whole packet and says nothing; of an mp4 that is
cut within its index it gives the tracks that are left, without a sound perhaps. So the outermost
header of each container is asked where the file should end.
"""

import re
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

from mmdiff.media.media_file import MediaFile
from mmdiff.media.rejection import Reason

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
MEDIA_BOXES = (b"moov", b"mdat", b"moof")  # others may be what a phone wrote behind an mp4
MOST_BOXES = 100_000
NESTED_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf")
DEEPEST = 10  # as FFmpeg follows them
COUNT_AT = {b"stsz": 8, b"stz2": 8, b"trun": 4}  # bytes into the box at which samples are counted
UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # of a RIFF that was written to a pipe
RIFF_SLACK = 16  # bytes: writers count their own headers wrong
SEGMENT = b"\x18\x53\x80\x67"
LARGEST_OGG_PAGE = 27 + 255 + 255 * 255  # bytes
LAST_OGG_PAGE = 4  # a flag

UNREAD_SUFFIXES = (
    *(".mxf", ".rm", ".rmvb", ".caf", ".ape", ".wv", ".au", ".amr", ".ac3", ".mid"),
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".exr"),
)
UNREAD = (  # by their first bytes, with what makes one of them that is read
    (rb"\x06\x0e\x2b\x34", "an MXF file", "ffmpeg -i {} -c copy {}.mov"),
    (rb"\.RMF", "a RealMedia file", "ffmpeg -i {} {}.mp4"),
    (rb"caff", "a CAF file", "ffmpeg -i {} {}.wav"),
    (rb"MAC ", "a Monkey's Audio file", "ffmpeg -i {} {}.wav"),
    (rb"wvpk", "a WavPack file", "ffmpeg -i {} {}.wav"),
    (rb"\.snd", "an AU file", "ffmpeg -i {} {}.wav"),
    (rb"#!AMR", "an AMR file", "ffmpeg -i {} {}.wav"),
    (rb"\x0b\x77", "an AC-3 file", "ffmpeg -i {} {}.wav"),
    (rb"MThd", "a MIDI file, notes without a sound", "timidity {} -Ow -o {}.wav"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL image", "djxl {} {}.png"),
    (rb"\0\0\0\x0cjP  ", "a JPEG 2000 image", "ffmpeg -i {} {}.png"),
    (rb"8BPS", "a Photoshop image", "ffmpeg -i {} {}.png"),
    (rb"\x76\x2f\x31\x01", "an OpenEXR image", "ffmpeg -i {} {}.png"),
    (rb".{4}ftyp(?:hei[cx]|mif1|msf1|hevc)", "a HEIC image", "heif-convert {} {}.png"),
    (rb".{4}ftypavi[fs]", "an AVIF image", "ffmpeg -i {} {}.png"),
)


def check_kind(file: MediaFile) -> None:
    """Raise RejectedMedia, with what makes it readable, for a file of a kind that is not read."""
    start = file.read_at(0, 12)
    for pattern, kind, command in UNREAD:
        if re.match(pattern, start, re.DOTALL):
            stem = shlex.quote(str(Path(file.name).with_suffix("")))
            hint = command.format(shlex.quote(file.name), stem)
            text = f"is {kind}, which is not read; this makes one that is: {hint}"
            raise file.rejection(Reason.UNSUPPORTED, text, "open")


def container_of(file: MediaFile) -> Container | None:
    """By the first bytes; None where they are of no container that is read."""
    start = file.read_at(0, 4096)
    if start[4:8] in FIRST_BOXES:
        return "mp4"
    for magic, container in MAGIC.items():
        if start.startswith(magic):
            return container
    if start.startswith(b"FORM") and start[8:11] == b"AIF":
        return "aiff"
    for first, size in PACKET_SIZES:
        marks = start[first::size]
        if len(marks) > 4 and set(marks) == {0x47}:
            return "mpegts"
    is_mpeg_audio = len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0
    return "mp3" if is_mpeg_audio else None


def check_end(file: MediaFile, container: Container | None) -> None:
    """Raise RejectedMedia for a file that states that it is longer than it is."""
    start = file.read_at(0, 4096)
    is_cut = False
    if container == "mp4":
        is_cut = _is_cut_mp4(file)
    elif container == "riff":
        stated = int.from_bytes(start[4:8], "little")
        is_cut = stated not in UNKNOWN_SIZES and stated + 8 > file.size + RIFF_SLACK
    elif container == "aiff":
        is_cut = int.from_bytes(start[4:8], "big") + 8 > file.size
    elif container == "matroska":
        is_cut = _segment_end(start) > file.size
    elif container == "ogg":
        is_cut = _lacks_last_page(file.read_at(max(file.size - LARGEST_OGG_PAGE, 0), -1))
    if is_cut:
        text = "is truncated: it states that it is longer; fetch it again"
        raise file.rejection(Reason.TRUNCATED, text, "open")


def _is_cut_mp4(file: MediaFile) -> bool:
    """Raises RejectedMedia where its index claims more samples than the file has bytes: FFmpeg
    reserves 24 bytes for each, so 200 bytes of a file could ask for gigabytes."""
    for name, start, end in islice(_boxes(file, 0, file.size), MOST_BOXES):
        if name in MEDIA_BOXES and end > file.size:
            return True
        if name in COUNT_AT:
            count = int.from_bytes(file.read_at(start + COUNT_AT[name], 4), "big")
            if count > file.size:
                text = f"claims {count} samples in {file.size} bytes; encode it anew"
                raise file.rejection(Reason.DAMAGED, text, "open")
    return False


def _boxes(
    file: MediaFile, start: int, end: int, depth: int = 0
) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each box between two positions (ISO/IEC 14496-12,
    4.2), with those of an index in depth."""
    while start + 8 <= end:
        header = file.read_at(start, 16)
        size, name, content = int.from_bytes(header[:4], "big"), header[4:8], start + 8
        if size == 1:
            size, content = int.from_bytes(header[8:], "big"), start + 16
        stop = start + size if size else end
        if stop < content:
            return
        yield name, content, stop
        if name in NESTED_BOXES and depth < DEEPEST:
            yield from _boxes(file, content, min(stop, end), depth + 1)
        start = stop


def _segment_end(start: bytes) -> int:
    """Where the one large element of a matroska ends (RFC 8794, section 4); 0 where it was written
    live and does not know."""
    position = start.find(SEGMENT) + len(SEGMENT)
    if position < len(SEGMENT) or not start[position]:
        return 0
    width = 9 - start[position].bit_length()
    unknown = (1 << 7 * width) - 1
    size = int.from_bytes(start[position : position + width], "big") & unknown
    return 0 if size == unknown else position + width + size


def _lacks_last_page(tail: bytes) -> bool:
    """Whether the last page of an ogg is cut, or not the last of its stream (RFC 3533, 6)."""
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if len(page) < 27 or not page[5] & LAST_OGG_PAGE:
        return True
    num_segments = page[26]
    return len(page) < 27 + num_segments + sum(page[27 : 27 + num_segments])
