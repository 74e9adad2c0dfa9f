"""Captions as files hold them to captions that a text encoder can read."""

import re
import unicodedata
from dataclasses import dataclass

from mmdiff.data.sources.listing import left_out
from mmdiff.media.rejection import Reason

MAX_CHARACTERS = 10_000
MAX_BYTES = 4 * MAX_CHARACTERS + 3  # a longer file is not read at all

UNDECODABLE = re.compile("[\0\udc80-\udcff]")  # errors="surrogateescape" makes them of bad bytes
LONE_SURROGATES = re.compile("[\ud800-\udfff]")
CONTROLS = re.compile("[\x01-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Caption:
    """A clean caption and what was changed to make it so."""

    text: str
    notes: tuple[str, ...] = ()


def clean_caption(raw: object, *, file: str) -> Caption:
    """What becomes of a caption, `file` being the clip that it belongs to.

    A byte order mark and lone surrogates are removed, control characters become spaces. Raises
    RejectedMedia for what is no text, not UTF-8, empty, or longer than `MAX_CHARACTERS`.
    """
    text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
    caption = Caption("")
    if text is None:
        fault = "is not there"
    elif not isinstance(text, str):
        fault = f"is of type {type(raw).__name__}, not text"
    elif len(text) > MAX_CHARACTERS:
        fault = f"has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read"
    elif UNDECODABLE.search(text):
        fault = "is not UTF-8: save it as UTF-8"
    else:
        caption, fault = _cleaned(text), "is empty"
    if all(unicodedata.category(sign)[0] in "ZC" for sign in caption.text):
        raise left_out(file, Reason.BAD_CAPTION, f"is left out, its caption {fault}")
    return caption


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
