"""Whether a media file states that it is longer than it is, and whether that costs pictures or
sound: of an index that is cut nothing is missed."""

from mmdiff.media.container_header import Container, boxes_of, bytes_at
from mmdiff.media.matroska import is_cut_in_cluster, segment_of
from mmdiff.media.media_file import MediaFile

MEDIA_BOXES = (b"mdat", b"moof")  # others may be what a phone wrote behind an mp4
RIFF_SLACK = 16  # bytes: writers count their own headers wrong
RIFF_HEADER = 12
UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # of a RIFF that was written to a pipe
LARGEST_OGG_PAGE = 27 + 255 + 255 * 255  # bytes
OGG_LAST_PAGE = 4  # a flag


def is_cut_off(file: MediaFile, container: Container | None) -> bool:
    """Whether the file states that it is longer than it is."""
    if container == "mp4":
        return any(box.end > file.size for box in boxes_of(file, nested=()))
    if container == "riff":
        stated = int.from_bytes(bytes_at(file, 4, 4), "little")
        return stated not in UNKNOWN_SIZES and stated + 8 > file.size + RIFF_SLACK
    if container == "aiff":
        return int.from_bytes(bytes_at(file, 4, 4), "big") + 8 > file.size
    if container == "ogg":
        return not _ends_with_last_page(file)
    return container == "matroska" and segment_of(file)[1] > file.size


def lacks_media(file: MediaFile, container: Container | None) -> bool:
    """Of a file that is cut off: whether pictures or sound are in what is missing, or may be."""
    if container == "mp4":
        return any(
            box.end > file.size and box.name in MEDIA_BOXES for box in boxes_of(file, nested=())
        )
    if container == "riff":
        return _riff_media_end(file) > file.size + RIFF_SLACK
    if container == "matroska":
        return is_cut_in_cluster(file)
    return True


def _riff_media_end(file: MediaFile) -> int:
    """Where the samples should end, in bytes; behind the file where they do not even begin."""
    place = RIFF_HEADER
    while place + 8 <= file.size:
        header = bytes_at(file, place, RIFF_HEADER)
        end = place + 8 + int.from_bytes(header[4:8], "little")
        if header[:4] == b"data" or (header[:4] == b"LIST" and header[8:] == b"movi"):
            return end
        place = end + end % 2
    return file.size + RIFF_SLACK + 1


def _ends_with_last_page(file: MediaFile) -> bool:
    """Whether the last page is whole, and the last of its stream (RFC 3533, section 6)."""
    tail = bytes_at(file, max(file.size - LARGEST_OGG_PAGE, 0), LARGEST_OGG_PAGE)
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if len(page) < 27 or not page[5] & OGG_LAST_PAGE:
        return False
    num_segments = page[26]
    return len(page) >= 27 + num_segments + sum(page[27 : 27 + num_segments])
