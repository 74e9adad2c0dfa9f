"""What a source lists: clips by name, before any of them is opened."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mmdiff.data.sources.stem_files import suffix_of
from mmdiff.data.sources.tar_member import TarMember
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.media.still import IMAGE_SUFFIXES

Media = Path | TarMember

SHOWN_REASONS = 5


@dataclass(frozen=True)
class ClipEntry:
    """A clip that a source names: what to decode and what is said about it.

    key             unique within its source and stable: the path of the media file relative to the
                    root, with "#start-end" behind it for a span
    caption         clean text, not empty
    media           the video, image or sound file
    audio           sound given apart; otherwise it comes from `media`
    start_seconds   where the clip begins in its file; None is its beginning
    end_seconds     where it ends; None is the end of the file
    sha256          that the media file must have, 64 hexadecimal digits; None is not checked
    audio_sha256    that the sound given apart must have
    notes           what was changed while reading the list ("byte order mark removed"), for the
                    report
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
        """Whether it is an image, without sound beside it. A link to a file without a suffix, as
        caches hold them, has its own."""
        suffixes = {suffix_of(self.key), suffix_of(str(self.media))}
        return self.audio is None and not suffixes.isdisjoint(IMAGE_SUFFIXES)


@dataclass(frozen=True)
class Listing:
    """All that a source lists, in a fixed order; what is not an entry is a rejection."""

    entries: tuple[ClipEntry, ...]
    rejections: tuple[Rejection, ...]

    def require(self, num_samples: int, *, name: str) -> None:
        """ValueError if there are fewer than `num_samples` entries, with what became of the rest.

        `name` says in the message what was listed; `num_samples` is the global batch (batch per
        rank times ranks) for a training run.
        """
        if len(self.entries) >= num_samples:
            return
        counts = Counter(rejection.reason for rejection in self.rejections)
        reasons = [_reason_line(reason, count) for reason, count in counts.most_common()]
        dropped = f"; {len(self.rejections)} left out: " if reasons else ""
        raise ValueError(
            f"{name} has {len(self.entries)} clips; {num_samples} are needed to fill one global "
            f"batch (batch size times ranks){dropped}{'; '.join(reasons[:SHOWN_REASONS])}. "
            "Add clips, or set batch_size lower"
        )


class Source(Protocol):
    """Whatever can say which clips there are, without decoding any."""

    def listing(self) -> Listing: ...


def _reason_line(reason: Reason, count: int) -> str:
    return f"{count} {reason} ({reason.hint})"
