"""Kinds of files that are not read, by their own name and with what makes them one that is."""

import shlex
from pathlib import Path

from mmdiff.media.container_header import bytes_at
from mmdiff.media.media_file import MediaFile

UNREAD_SUFFIXES = (
    *(".mxf", ".rm", ".rmvb", ".caf", ".ape", ".wv", ".au", ".amr", ".ac3", ".mid"),
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".psd", ".exr"),
)
BY_START = (
    (b"\x06\x0e\x2b\x34", "an MXF file", "ffmpeg -i {} -c copy {}.mov"),
    (b".RMF", "a RealMedia file", "ffmpeg -i {} {}.mp4"),
    (b"caff", "a CAF file", "ffmpeg -i {} {}.wav"),
    (b"MAC ", "a Monkey's Audio file", "ffmpeg -i {} {}.wav"),
    (b"wvpk", "a WavPack file", "ffmpeg -i {} {}.wav"),
    (b".snd", "an AU file", "ffmpeg -i {} {}.wav"),
    (b"#!AMR", "an AMR file", "ffmpeg -i {} {}.wav"),
    (b"\x0b\x77", "an AC-3 file", "ffmpeg -i {} {}.wav"),
    (b"MThd", "a MIDI file, notes without a sound", "timidity {} -Ow -o {}.wav"),
    (b"\xff\x0a", "a JPEG XL image", "djxl {} {}.png"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", "djxl {} {}.png"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", "ffmpeg -i {} {}.png"),
    (b"8BPS", "a Photoshop image", "ffmpeg -i {} {}.png"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image", "ffmpeg -i {} {}.png"),
)
HEIC = ("a HEIC image", "heif-convert {} {}.png")
BY_BRAND = {  # of what begins like an mp4
    **dict.fromkeys((b"heic", b"heix", b"mif1", b"msf1", b"hevc"), HEIC),
    **dict.fromkeys((b"avif", b"avis"), ("an AVIF image", "ffmpeg -i {} {}.png")),
}
HEADER_BYTES = 12


def kind_that_is_not_read(file: MediaFile) -> str | None:
    """What it is and what makes it readable, to stand behind its name; None where it may be
    read."""
    start = bytes_at(file, 0, HEADER_BYTES)
    found = BY_BRAND.get(start[8:12]) if start[4:8] == b"ftyp" else None
    for magic, what, command in BY_START:
        if start.startswith(magic):
            found = what, command
    if found is None:
        return None
    stem = str(Path(file.name).with_suffix(""))
    hint = found[1].format(shlex.quote(file.name), shlex.quote(stem))
    return f"is {found[0]}, which is not read; this makes one that is: {hint}"
