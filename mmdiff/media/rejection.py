"""Why a file does not become a clip: enumerated reasons, each with a hint."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Stage = Literal["list", "open", "decode", "fit"]


class Reason(StrEnum):
    """What is wrong with a file; the value is what stands in a report.

    hint  what a user can do about files with this reason, one line
    """

    hint: str

    def __new__(cls, value: str, hint: str = "") -> "Reason":
        reason = str.__new__(cls, value)
        reason._value_, reason.hint = value, hint
        return reason

    # the file as such
    MISSING = "missing", "correct the name in the list, or put the file there"
    UNREADABLE = "unreadable", "give a regular file that this user may read"
    EXTERNAL = "external", "move the file under the root, or set data.allow_external=true"
    NOT_MEDIA = (
        "not_media",
        "give mp4, mov, mkv, webm, avi, ts, mts, mpg, flv, wmv, an image, or wav, flac, mp3, "
        "ogg, aiff",
    )
    # its content
    DAMAGED = "damaged", "fetch the file again, or encode it anew from its source"
    TRUNCATED = "truncated", "fetch the file again: its end is missing"
    EMPTY = "empty", "leave the file out: it holds no frames and no samples"
    NO_PICTURE = "no_picture", "give a file with a video stream, or a bucket without pictures"
    NO_SOUND = "no_sound", "give a file with an audio stream, or a bucket without sound"
    # the limits
    TOO_LARGE = "too_large", "cut or scale the file down, or raise the limit that is named"
    TOO_LONG = "too_long", "cut the file into clips, give a span, or raise the limit that is named"
    TOO_SLOW = "too_slow", "encode the file anew, or raise max_seconds"
    TOO_SHORT = "too_short", "leave the file out, or ask for fewer frames"
    TOO_SMALL = "too_small", "leave the file out, or ask for a smaller size"
    # what could be read but not used
    ROTATED = "rotated", "save the file upright"
    UNSUPPORTED = "unsupported", "encode the file anew, as H.264 and AAC in an mp4"
    BAD_SPAN = "bad_span", "give a span that begins before its end and inside of the file"
    # the list that names it
    BAD_CAPTION = "bad_caption", "write a caption as UTF-8 text without control characters"
    BAD_ROW = "bad_row", "correct the row in the list"
    DUPLICATE = "duplicate", "name each file and span once"
    BAD_SHARD = "bad_shard", "write the tar shard anew, with regular files only"


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
