"""Kinds of files that are not read, by their own name and with what makes them one that is."""

from mmdiff.media.container_header import bytes_at
from mmdiff.media.media_file import MediaFile

TO_VIDEO = "ffmpeg -i FILE -c copy OUTPUT.mov"
TO_NEW_VIDEO = "ffmpeg -i FILE OUTPUT.mp4"
TO_SOUND = "ffmpeg -i FILE OUTPUT.wav"
TO_IMAGE = "ffmpeg -i FILE OUTPUT.png"
BY_START = (
    (b"\x06\x0e\x2b\x34", "an MXF file", TO_VIDEO),
    (b".RMF", "a RealMedia file", TO_NEW_VIDEO),
    (b"caff", "a CAF file", TO_SOUND),
    (b"MAC ", "a Monkey's Audio file", TO_SOUND),
    (b"wvpk", "a WavPack file", TO_SOUND),
    (b".snd", "an AU file", TO_SOUND),
    (b"#!AMR", "an AMR file", TO_SOUND),
    (b"\x0b\x77", "an AC-3 file", TO_SOUND),
    (b"MThd", "a MIDI file, which holds notes and no sound", "fluidsynth -F OUTPUT.wav FILE"),
    (b"\xff\x0a", "a JPEG XL image", TO_IMAGE),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", TO_IMAGE),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", TO_IMAGE),
    (b"8BPS", "a Photoshop image", TO_IMAGE),
    (b"\x76\x2f\x31\x01", "an OpenEXR image", TO_IMAGE),
    (b"DIRAC", "a Dirac file", TO_NEW_VIDEO),
)
BY_BRAND = {  # of what begins like an mp4
    **dict.fromkeys((b"heic", b"heix", b"mif1", b"msf1", b"hevc"), "a HEIC image"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF image"),
}
HEADER_BYTES = 12


def kind_that_is_not_read(file: MediaFile) -> str | None:
    """What it is and how to make it readable, to stand behind its name; None where it may be
    read."""
    start = bytes_at(file, 0, HEADER_BYTES)
    if start[4:8] == b"ftyp" and start[8:12] in BY_BRAND:
        how = "heif-convert FILE OUTPUT.png" if b"avi" not in start[8:12] else TO_IMAGE
        return f"is {BY_BRAND[start[8:12]]}, which is not read: {how} makes it one that is"
    for magic, what, how in BY_START:
        if start.startswith(magic):
            return f"is {what}, which is not read: {how} makes it one that is"
    return None
