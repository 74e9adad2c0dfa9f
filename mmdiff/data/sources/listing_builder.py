"""From what a list says to a listing: each clip once, each fault reported."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from tqdm import tqdm

from mmdiff.data.sources.caption import clean_caption
from mmdiff.data.sources.listing import ClipEntry, Listing, Media, left_out
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection
from mmdiff.values.progress import bar_arguments

MOST_REJECTED = 10**5  # of a list with more bad rows than good ones: it is no list of clips
SHOWN_AFTER_SECONDS = 2.0


class ListingBuilder:
    """Collects entries and rejections in the order in which they are added, with a bar where that
    takes long.

    Raises ValueError for more than `MOST_REJECTED` rejections where they are most of all.
    """

    def __init__(self) -> None:
        self._entries: dict[str, ClipEntry] = {}
        self._rejections: list[Rejection] = []
        arguments = bar_arguments("listing clips", line="{n_fmt}")
        self._bar: tqdm[NoReturn] = tqdm(unit=" clips", delay=SHOWN_AFTER_SECONDS, **arguments)

    @contextmanager
    def rejecting(self) -> Iterator[None]:
        """For each clip: what raises RejectedMedia inside is a rejection, and the list goes on."""
        try:
            yield
        except RejectedMedia as error:
            self.reject(error.rejection)

    def reject(self, rejection: Rejection) -> None:
        self._rejections.append(rejection)
        self._bar.update()
        bad, good = len(self._rejections), len(self._entries)
        if bad > MOST_REJECTED and bad > good:
            raise ValueError(
                f"{bad:,} of the first {bad + good:,} clips of the list cannot be read, so it is "
                f"read no further; the last of them: {rejection.message}"
            )

    def add(
        self,
        key: str,
        media: Media,
        *,
        caption: object,
        audio: Media | None = None,
        start: object = None,
        end: object = None,
        sha256: str | None = None,
        audio_sha256: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """An entry; RejectedMedia unless caption and span are good and the clip is new.

        key                  path of the media file relative to the root
        caption, start, end  as they were found, of any type
        """
        checked = clean_caption(caption, file=key)
        span = read_span(start, end, file=key)
        key += span_mark(*span)  # so spans of one file are clips of their own
        if key in self._entries:
            is_same = self._entries[key].caption == checked.text
            fault = f"is named before, with {'the same' if is_same else 'another'} caption"
            raise left_out(key, Reason.DUPLICATE, fault)
        self._entries[key] = ClipEntry(
            key, checked.text, media, audio, *span, sha256, audio_sha256, (*notes, *checked.notes)
        )
        self._bar.update()

    def build(self) -> Listing:
        self._bar.close()
        return Listing(tuple(self._entries.values()), tuple(self._rejections))


def read_span(start: object, end: object, *, file: str) -> tuple[float | None, float | None]:
    """From and to in seconds, None for the beginning and the end of the file, from what a list
    holds: numbers, text with a number, nothing, NaN (an empty cell, as pandas writes it)."""
    first, last = _seconds("start", start, file), _seconds("end", end, file)
    if last is not None and last <= (first or 0.0):
        fault = f"ends at {last:g} s, not after its start at {first or 0.0:g} s"
        raise left_out(file, Reason.BAD_SPAN, fault)
    return first, last


def span_mark(start: float | None, end: float | None) -> str:
    """What tells the spans of one file apart, behind its path: "#1.5-3", or nothing."""
    if start is None and end is None:
        return ""
    first, last = (repr(one).removesuffix(".0") for one in (start or 0.0, end))
    return f"#{first}-{'' if end is None else last}"


def _seconds(name: str, value: object, file: str) -> float | None:
    # NaN is what pandas writes for an empty cell; it differs from itself
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return None
    try:
        is_number = isinstance(value, str | int | float) and not isinstance(value, bool)
        number = float(value) if is_number else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < math.inf:
        fault = f"has the {name} {str(value)[:100]!r}, which is no number of seconds from 0 on"
        raise left_out(file, Reason.BAD_SPAN, fault)
    return number
