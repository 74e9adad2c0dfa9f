"""From names in a list to a listing: each clip once, each fault told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from mmdiff.data.sources.caption_check import Caption, check_caption
from mmdiff.data.sources.clip_entry import ClipEntry, Listing, Media
from mmdiff.data.sources.confined_path import ConfinedPath
from mmdiff.data.sources.list_fault import list_fault
from mmdiff.data.sources.media_span import MediaSpan
from mmdiff.data.sources.table_row import MOST_CLIPS
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.values.progress import bar_arguments

Resolve = Callable[[str], ConfinedPath | Rejection]


MOST_REJECTED = 10**5  # of a list with more bad rows than good ones: it is no list of clips
MOST_COMPARED = 20
SHOWN_AFTER_SECONDS = 2.0


def _bar() -> "tqdm[NoReturn]":
    arguments = bar_arguments("listing clips", line="{n_fmt}")
    return tqdm(unit=" clips", delay=SHOWN_AFTER_SECONDS, **arguments)


@dataclass
class ListingBuilder:
    """Collects entries and rejections in the order in which they are added, with a bar where that
    takes long.

    Raises ValueError for more than `MOST_CLIPS`, and for more than `MOST_REJECTED` rejections where
    they are most of all.
    """

    _entries: dict[str, ClipEntry] = field(default_factory=dict)
    _rejections: list[Rejection] = field(default_factory=list)
    _bar: "tqdm[NoReturn]" = field(default_factory=_bar)

    def reject(self, rejection: Rejection) -> None:
        self._rejections.append(rejection)
        self._bar.update()
        bad, good = len(self._rejections), len(self._entries)
        if bad > MOST_REJECTED and bad > good:
            raise ValueError(
                f"{bad:,} of the first {bad + good:,} clips of the list cannot be read, so it is "
                f"read no further; the last of them: {rejection.message}"
            )

    @property
    def looks_for_near(self) -> bool:
        """Whether names that are not there are compared with all others of their folder, which
        takes a second where these are many."""
        return len(self._rejections) < MOST_COMPARED

    def add(
        self,
        key: str,
        media: Media,
        *,
        caption: object,
        audio: Media | None = None,
        span: MediaSpan | Rejection | None = None,
        sha256: str | None = None,
        audio_sha256: str | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        """An entry if caption and span are good and the clip is new, a rejection otherwise.

        key       path of the media file relative to the root
        caption   as it was found: text, bytes or anything
        """
        checked = check_caption(caption, file=key)
        for part in (checked, span):
            if isinstance(part, Rejection):
                return self.reject(part)
        assert isinstance(checked, Caption) and not isinstance(span, Rejection)
        start, end = (span.start_seconds, span.end_seconds) if span else (None, None)
        key = f"{key}{span.mark if span else ''}"
        if key in self._entries:
            is_same = self._entries[key].caption == checked.text
            fault = f"is named before, with {'the same' if is_same else 'another'} caption"
            return self.reject(list_fault(key, Reason.DUPLICATE, fault))
        notes = (*notes, *checked.notes)
        self._entries[key] = ClipEntry(
            key, checked.text, media, audio, start, end, sha256, audio_sha256, notes
        )
        self._bar.update()
        if len(self._entries) > MOST_CLIPS:
            raise ValueError(
                f"the list names more than {MOST_CLIPS:,} clips, the most of one source; "
                "cut it into several: data=several"
            )

    def add_named(
        self,
        file_name: str,
        *,
        resolve: Resolve,
        caption: object,
        audio_file_name: str | None = None,
        span: MediaSpan | Rejection | None = None,
        sha256: str | None = None,
        audio_sha256: str | None = None,
    ) -> None:
        """A clip whose files are names; `resolve` says which file on disk a name stands for."""
        media = resolve(file_name)
        audio = None if audio_file_name is None else resolve(audio_file_name)
        if isinstance(media, Rejection):
            return self.reject(media)
        if isinstance(audio, Rejection):
            fault = f"is left out for its sound: {audio.message}"
            return self.reject(Rejection(media.key, audio.reason, "list", f"{media.key!r} {fault}"))
        sound: Path | None = None if audio is None else audio.path
        self.add(
            media.key,
            media.path,
            caption=caption,
            audio=sound,
            span=span,
            sha256=sha256,
            audio_sha256=audio_sha256,
        )

    def build(self) -> Listing:
        self._bar.close()
        return Listing(tuple(self._entries.values()), tuple(self._rejections))
