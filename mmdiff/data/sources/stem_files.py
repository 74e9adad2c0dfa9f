"""Files of one clip: those with the same name up to the last dot."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mmdiff.media.container import UNREAD_SUFFIXES
from mmdiff.media.still import IMAGE_SUFFIXES

VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".3gp", ".mkv", ".webm", ".avi"),
    *(".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".flv", ".wmv", ".asf"),
)
SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".wma", ".aif", ".aiff")
MEDIA_SUFFIXES = (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, *SOUND_SUFFIXES, *UNREAD_SUFFIXES)


@dataclass(frozen=True)
class StemFiles:
    """media: the picture with its own sound, or the sound; audio: sound beside a picture;
    unused: files that another one of the same stem stands before"""

    media: str
    audio: str | None = None
    unused: tuple[str, ...] = ()


def suffix_of(name: str) -> str:
    """The last suffix in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def stem_of(name: str) -> str:
    """The path without its last suffix."""
    return os.path.splitext(name)[0]


def choose_media(names: Sequence[str]) -> StemFiles | None:
    """What is picture and what is sound among files of one stem; None if none is a media file.

    A video stands before an image, the first name before the second. A file of a type that is not
    read is taken only where there is no other: whoever reads it says what it is.
    """
    videos, images, sounds, unread = (
        [name for name in sorted(names) if suffix_of(name) in suffixes]
        for suffixes in (VIDEO_SUFFIXES, IMAGE_SUFFIXES, SOUND_SUFFIXES, UNREAD_SUFFIXES)
    )
    if pictures := [*videos, *images]:
        audio = sounds[0] if sounds else None
        return StemFiles(pictures[0], audio, (*pictures[1:], *sounds[1:]))
    if sounds:
        return StemFiles(sounds[0], None, tuple(sounds[1:]))
    return StemFiles(unread[0]) if unread else None
