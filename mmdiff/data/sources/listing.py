"""What a source lists: clips by name, before any of them is opened."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mmdiff.data.sources.tar_member import TarMember
from mmdiff.media.container import UNREAD_SUFFIXES
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection
from mmdiff.media.still import IMAGE_SUFFIXES
from mmdiff.values.usage_error import shortened

Media = Path | TarMember
VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".3gp", ".mkv", ".webm", ".avi"),
    *(".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".vob", ".flv", ".wmv", ".asf"),
)
SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".wma", ".aif", ".aiff")
MEDIA_SUFFIXES = (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, *SOUND_SUFFIXES, *UNREAD_SUFFIXES)


@dataclass(frozen=True)
class ClipEntry:
    """A clip that a source names: what to decode and what is said about it.

    key             unique within its source and stable: the path of the media file relative to the
                    root, with "#start-end" behind it for a span
    caption         clean text, not empty
    audio           sound in a file of its own; otherwise it comes from `media`
    start_seconds, end_seconds   of the span; None: the beginning, the end of the file
    sha256, audio_sha256         that the files must have; None is not checked
    notes           what was changed while reading the list, for the report
    """

    key: str
    caption: str
    media: Media
    audio: Media | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None
    sha256: str | None = None
    audio_sha256: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def suffixes(self) -> set[str]:
        """Of its name, and of the file: a link, as caches hold them, may lead to one without."""
        return {suffix_of(self.key), suffix_of(str(self.media))}

    @property
    def is_still(self) -> bool:
        """Whether it is an image, without sound beside it."""
        return self.audio is None and not self.suffixes.isdisjoint(IMAGE_SUFFIXES)


@dataclass(frozen=True)
class Listing:
    """All that a source lists, in a fixed order; what is not an entry is a rejection.

    weights  of the samples, by source, where there are several: the name of its source stands
             before the key of each entry, and the entries of a source stand together
    """

    entries: tuple[ClipEntry, ...]
    rejections: tuple[Rejection, ...] = ()
    weights: dict[str, float] | None = None


class Source(Protocol):
    """Whatever can say which clips there are, without decoding any."""

    def listing(self) -> Listing: ...


def source_of(key: str) -> str:
    """The source of an entry of a listing with weights."""
    return key.split("/", 1)[0]


def left_out(file: str, reason: Reason, fault: str, *, hint: str | None = None) -> RejectedMedia:
    """The error to raise for what is not listed; `hint` stands for the general one of the
    reason."""
    message = f"'{shortened(file, 200)}' {fault}: {hint or reason.hint}"
    name = file.encode("utf-8", "backslashreplace").decode()
    return RejectedMedia(Rejection(name, reason, "list", message))


def suffix_of(name: str) -> str:
    """The last suffix in lower case, with its dot."""
    return os.path.splitext(name)[1].lower()


def stem_of(name: str) -> str:
    """The path without its last suffix."""
    return os.path.splitext(name)[0]


@dataclass(frozen=True)
class StemFiles:
    """media: the picture with its own sound, or the sound; audio: sound beside a picture;
    unused: files that another one of the same stem stands before"""

    media: str
    audio: str | None = None
    unused: tuple[str, ...] = ()


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
