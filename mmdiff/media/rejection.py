"""Why a file does not become a clip: enumerated reasons, each with its general hint."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Stage = Literal["list", "open", "decode", "fit"]


class Reason(StrEnum):
    """What is wrong with a file; the value is what stands in a report."""

    # the file as such
    MISSING = "missing"
    UNREADABLE = "unreadable"
    EXTERNAL = "external"
    NOT_MEDIA = "not_media"
    # its content
    DAMAGED = "damaged"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    NO_PICTURE = "no_picture"
    NO_SOUND = "no_sound"
    # the limits
    TOO_LARGE = "too_large"
    TOO_LONG = "too_long"
    TOO_SLOW = "too_slow"
    TOO_SHORT = "too_short"
    TOO_SMALL = "too_small"
    # what could be read but not used
    ROTATED = "rotated"
    UNSUPPORTED = "unsupported"
    BAD_SPAN = "bad_span"
    # the list that names it
    BAD_CAPTION = "bad_caption"
    BAD_ROW = "bad_row"
    DUPLICATE = "duplicate"
    BAD_SHARD = "bad_shard"

    @property
    def hint(self) -> str:
        """What a user can do about files with this reason, one line."""
        return HINTS[self]


HINTS = {
    Reason.MISSING: "correct the name in the list, or put the file there",
    Reason.UNREADABLE: "give a regular file that this user may read",
    Reason.EXTERNAL: "move the file under the root, or set data.allow_external=true",
    Reason.NOT_MEDIA: "give mp4, mov, mkv, webm, avi, ts, mts, mpg, flv, wmv, an image, or wav, "
    "flac, mp3, ogg, aiff",
    Reason.DAMAGED: "fetch the file again, or encode it anew from its source",
    Reason.TRUNCATED: "fetch the file again: its end is missing",
    Reason.EMPTY: "leave the file out: it holds no frames and no samples",
    Reason.NO_PICTURE: "give a file with a video stream, or a bucket without pictures",
    Reason.NO_SOUND: "give a file with an audio stream, or a bucket without sound",
    Reason.TOO_LARGE: "cut or scale the file down, or raise the limit that is named",
    Reason.TOO_LONG: "cut the file into clips, give a span, or raise the limit that is named",
    Reason.TOO_SLOW: "encode the file anew, or raise max_seconds",
    Reason.TOO_SHORT: "leave the file out, or ask for fewer frames",
    Reason.TOO_SMALL: "leave the file out, or ask for a smaller size",
    Reason.ROTATED: "save the file upright",
    Reason.UNSUPPORTED: "encode the file anew, as H.264 and AAC in an mp4",
    Reason.BAD_SPAN: "give a span that begins before its end and inside of the file",
    Reason.BAD_CAPTION: "write a caption as UTF-8 text without control characters",
    Reason.BAD_ROW: "correct the row in the list",
    Reason.DUPLICATE: "name each file and span once",
    Reason.BAD_SHARD: "write the tar shard anew, with regular files only",
}


@dataclass(frozen=True)
class Rejection:
    """A file that is left out, and why.

    file     its name as the source gives it
    reason   one of `Reason`, for counting
    stage    where it was seen: while listing, opening, decoding or fitting to the clip asked for
    message  one line that names the file, what is wrong and a hint; signs that do not print, such
             as a line break in a name, are escaped
    """

    file: str
    reason: Reason
    stage: Stage
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message))


class RejectedMedia(ValueError):  # noqa: N818 (it carries a Rejection; the name says so)
    """The error of whoever asks for one file and cannot go on without it."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.message)
        self.rejection = rejection

    def __reduce__(self) -> tuple[type["RejectedMedia"], tuple[Rejection]]:
        return (RejectedMedia, (self.rejection,))  # it travels from workers: pickled by its parts


def rejected(file: str, reason: Reason, stage: Stage, text: str) -> RejectedMedia:
    """The error to raise: its message is `file` and `text`."""
    return RejectedMedia(Rejection(file, reason, stage, f"{file} {text}"))


def printable(text: str) -> str:
    """`text` on one line: what does not print (line breaks, lone surrogates) is escaped."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
