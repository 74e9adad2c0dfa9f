"""What a source lists: clips by name, before any of them is opened."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mmdiff.data.sources.stem_files import suffix_of
from mmdiff.data.sources.tar_member import TarMember
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.media.still import IMAGE_SUFFIXES
from mmdiff.values.usage_error import shortened

Media = Path | TarMember
SHOWN_CHARACTERS = 200


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
    def is_still(self) -> bool:
        """Whether it is an image, without sound beside it."""
        # a link to a file without a suffix, as caches hold them, has a suffix of its own
        suffixes = {suffix_of(self.key), suffix_of(str(self.media))}
        return self.audio is None and not suffixes.isdisjoint(IMAGE_SUFFIXES)


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


def left_out(file: str, reason: Reason, fault: str, *, hint: str | None = None) -> Rejection:
    """A rejection while listing; `hint` stands for the general one of the reason."""
    message = f"'{shortened(file, SHOWN_CHARACTERS)}' {fault}: {hint or reason.hint}"
    return Rejection(file.encode("utf-8", "backslashreplace").decode(), reason, "list", message)
