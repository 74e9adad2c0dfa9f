"""Captions as files hold them to captions that a text encoder can read, or the reason why not."""

import codecs
import unicodedata
from dataclasses import dataclass

from mmdiff.data.sources.list_fault import list_fault
from mmdiff.media.rejection import Reason, Rejection

MAX_CHARACTERS = 10_000
MAX_BYTES = 4 * MAX_CHARACTERS + len(codecs.BOM_UTF8)  # a longer file is not read at all

BYTE_ORDER_MARK = "\ufeff"
KEPT_CONTROLS = "\n\t"
UNDECODABLE = range(0xDC80, 0xDD00)  # how `errors="surrogateescape"` marks a byte that is no UTF-8
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Caption:
    """A clean caption and what was changed to make it so."""

    text: str
    notes: tuple[str, ...] = ()


def check_caption(raw: object, *, file: str) -> Caption | Rejection:
    """What becomes of a caption, `file` being the clip that it belongs to.

    Cleaned, with a note: a byte order mark and lone surrogates are removed, control characters
    become spaces. Space around a caption and the kind of its line ends are no part of it. Left
    out: what is no text, not UTF-8, empty, longer than `MAX_CHARACTERS`, or holds NUL.
    """
    if isinstance(raw, bytes):
        if raw.startswith(WIDE_MARKS):
            return _refused(file, "is in UTF-16: save it as UTF-8")
        raw = raw.decode("utf-8", "surrogateescape")
    if raw is None:
        return _refused(file, "is not there")
    if not isinstance(raw, str):
        return _refused(file, f"is of type {type(raw).__name__}, not text")
    if len(raw) > MAX_CHARACTERS:
        return _refused(file, f"has {len(raw):,} characters; at most {MAX_CHARACTERS:,} are read")
    if raw.isprintable() and (text := raw.strip()):
        return Caption(text)  # nearly all: nothing below would be found
    if any(ord(sign) in UNDECODABLE for sign in raw):
        return _refused(file, "is not UTF-8: save it as UTF-8")
    if "\0" in raw:
        return _refused(file, "holds NUL: save it as UTF-8, not UTF-16")
    caption = _cleaned(raw)
    if all(unicodedata.category(sign)[0] in "ZC" for sign in caption.text):
        return _refused(file, "is empty")
    return caption


def _cleaned(raw: str) -> Caption:
    notes = []
    text = raw.removeprefix(BYTE_ORDER_MARK)
    if text != raw:
        notes.append("byte order mark removed from the caption")
    whole = "".join(sign for sign in text if not 0xD800 <= ord(sign) < 0xE000)
    if len(whole) < len(text):
        notes.append(f"{len(text) - len(whole)} lone surrogates removed from the caption")
    text = whole.replace("\r\n", "\n").replace("\r", "\n").strip()
    spaced = "".join(" " if _is_control(sign) else sign for sign in text)
    if spaced != text:
        count = sum(_is_control(sign) for sign in text)
        notes.append(f"{count} control characters in the caption made spaces")
    return Caption(spaced.strip(), tuple(notes))


def _is_control(sign: str) -> bool:
    return sign not in KEPT_CONTROLS and unicodedata.category(sign) == "Cc"


def _refused(file: str, fault: str) -> Rejection:
    return list_fault(file, Reason.BAD_CAPTION, f"is left out, its caption {fault}")
