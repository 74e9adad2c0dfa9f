"""Captions as files hold them to captions that a text encoder can read, or the reason why not."""

import re
import unicodedata
from dataclasses import dataclass

from mmdiff.data.sources.listing import left_out
from mmdiff.media.rejection import Reason, Rejection

MAX_CHARACTERS = 10_000
MAX_BYTES = 4 * MAX_CHARACTERS + 3  # a longer file is not read at all

UNDECODABLE = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of bad bytes
LONE_SURROGATES = re.compile("[\ud800-\udfff]")
CONTROLS = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Caption:
    """A clean caption and what was changed to make it so."""

    text: str
    notes: tuple[str, ...] = ()


def check_caption(raw: object, *, file: str) -> Caption | Rejection:
    """What becomes of a caption, `file` being the clip that it belongs to.

    Cleaned, with a note: a byte order mark and lone surrogates are removed, control characters
    become spaces. Left out: what is no text, not UTF-8, empty, longer than `MAX_CHARACTERS`, or
    holds NUL.
    """
    text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
    if isinstance(text, str) and len(text) <= MAX_CHARACTERS and not (fault := _fault(text)):
        caption = _cleaned(text)
        if any(unicodedata.category(sign)[0] not in "ZC" for sign in caption.text):
            return caption
        fault = "is empty"
    elif raw is None:
        fault = "is not there"
    elif not isinstance(text, str):
        fault = f"is of type {type(raw).__name__}, not text"
    elif len(text) > MAX_CHARACTERS:
        fault = f"has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read"
    return left_out(file, Reason.BAD_CAPTION, f"is left out, its caption {fault}")


def _fault(text: str) -> str:
    if UNDECODABLE.search(text) or "\0" in text:
        return "is not UTF-8: save it as UTF-8"
    return ""


def _cleaned(text: str) -> Caption:
    notes = []
    if text.startswith("\ufeff"):
        text = text[1:]
        notes.append("byte order mark removed from the caption")
    text, count = LONE_SURROGATES.subn("", text)
    if count:
        notes.append(f"{count} lone surrogates removed from the caption")
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    text, count = CONTROLS.subn(" ", text)
    if count:
        notes.append(f"{count} control characters in the caption made spaces")
    return Caption(text.strip(), tuple(notes))
