"""From what a list says to a listing: each clip once, each fault reported."""

import math
from collections.abc import Callable
from typing import NoReturn

from tqdm import tqdm

from mmdiff.data.sources.caption import check_caption
from mmdiff.data.sources.listing import ClipEntry, Listing, Media, left_out
from mmdiff.data.sources.safe_path import SafePath
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.values.progress import bar_arguments

MOST_CLIPS = 10**7  # that one source may list
MOST_REJECTED = 10**5  # of a list with more bad rows than good ones: it is no list of clips
SHOWN_AFTER_SECONDS = 2.0


class ListingBuilder:
    """Collects entries and rejections in the order in which they are added, with a bar where that
    takes long.

    Raises ValueError for more than `MOST_CLIPS`, and for more than `MOST_REJECTED` rejections where
    they are most of all.
    """

    def __init__(self) -> None:
        self._entries: dict[str, ClipEntry] = {}
        self._rejections: list[Rejection] = []
        arguments = bar_arguments("listing clips", line="{n_fmt}")
        self._bar: tqdm[NoReturn] = tqdm(unit=" clips", delay=SHOWN_AFTER_SECONDS, **arguments)

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
        """An entry if caption and span are good and the clip is new, a rejection otherwise.

        key                  path of the media file relative to the root
        caption, start, end  as they were found, of any type
        """
        checked = check_caption(caption, file=key)
        if isinstance(checked, Rejection):
            return self.reject(checked)
        span = read_span(start, end, file=key)
        if isinstance(span, Rejection):
            return self.reject(span)
        key += span_mark(*span)
        if key in self._entries:
            is_same = self._entries[key].caption == checked.text
            fault = f"is named before, with {'the same' if is_same else 'another'} caption"
            return self.reject(left_out(key, Reason.DUPLICATE, fault))
        self._entries[key] = ClipEntry(
            key, checked.text, media, audio, *span, sha256, audio_sha256, (*notes, *checked.notes)
        )
        self._bar.update()
        if len(self._entries) > MOST_CLIPS:
            raise ValueError(
                f"the list names more than {MOST_CLIPS:,} clips, the most of one source; "
                "cut it into several: data=several"
            )

    def add_named(
        self,
        name: str,
        *,
        path_of: Callable[[str], SafePath | Rejection],
        audio_name: str | None = None,
        **facts: object,
    ) -> None:
        """A clip whose files are names; `path_of` says which file on disk a name stands for.

        facts  as in `add`
        """
        media = path_of(name)
        audio = None if audio_name is None else path_of(audio_name)
        if isinstance(media, Rejection):
            return self.reject(media)
        if isinstance(audio, Rejection):
            fault = f"is left out for its sound: {audio.message}"
            return self.reject(Rejection(media.key, audio.reason, "list", f"{media.key!r} {fault}"))
        audio_path = None if audio is None else audio.path
        self.add(media.key, media.path, audio=audio_path, **facts)  # type: ignore[arg-type]

    def build(self) -> Listing:
        self._bar.close()
        return Listing(tuple(self._entries.values()), tuple(self._rejections))


Span = tuple[float | None, float | None]


def read_span(start: object, end: object, *, file: str) -> Span | Rejection:
    """From and to in seconds, None for the beginning and the end of the file, from what a list
    holds: numbers, text with a number, nothing, NaN (an empty cell, as pandas writes it)."""
    seconds: list[float | None] = []
    for name, value in (("start", start), ("end", end)):
        number = _number(value)
        if number is not None and not 0 <= number < math.inf:
            fault = f"has the {name} {str(value)[:100]!r}, which is no number of seconds from 0 on"
            return left_out(file, Reason.BAD_SPAN, fault)
        seconds.append(number)
    first, last = seconds
    if last is not None and last <= (first or 0.0):
        fault = f"ends at {last:g} s, not after its start at {first or 0.0:g} s"
        return left_out(file, Reason.BAD_SPAN, fault)
    return first, last


def span_mark(start: float | None, end: float | None) -> str:
    """What tells the spans of one file apart, behind its path: "#1.5-3", or nothing."""
    if start is None and end is None:
        return ""
    first, last = (repr(one).removesuffix(".0") for one in (start or 0.0, end))
    return f"#{first}-{'' if end is None else last}"


def _number(value: object) -> float | None:
    """None for nothing, NaN is never given: -1 for what is no number."""
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return -1.0
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return -1.0
    return -1.0 if math.isnan(number) else number
