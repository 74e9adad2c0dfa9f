"""What became of every clip that a source lists: rows, counts, and the file that keeps them."""

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from mmdiff.data.bad_clips import LACKING
from mmdiff.media.atomic import atomic_write
from mmdiff.media.rejection import Reason, Rejection, Stage

Status = Literal["kept", "adapted", "dropped"]
WORDS = re.compile(r"(\D+?)(?: (?:by|from|behind|for|of))?(?: \d.*)?")


@dataclass(frozen=True)
class ClipReport:
    """One clip: what it is, and what training makes of it.

    status       kept as it is, adapted to the spec, or dropped
    reason, stage, message      why and where it was dropped, None for others
    adaptations  what was done to it, a short phrase each
    the others   as decoded, None where there is no such modality or it could not be decoded
    seconds      of the clock, to decode and to fit it
    """

    file: str
    status: Status
    reason: Reason | None = None
    stage: Stage | None = None
    message: str | None = None
    adaptations: tuple[str, ...] = ()
    num_frames: int | None = None
    frame_rate: float | None = None
    height: int | None = None
    width: int | None = None
    video_seconds: float | None = None
    audio_seconds: float | None = None
    sample_rate: int | None = None
    channels: int | None = None
    loudness: float | None = None
    loudness_unit: str | None = None
    decoded_bytes: int = 0
    seconds: float = 0.0

    @classmethod
    def dropped(cls, rejection: Rejection) -> "ClipReport":
        return cls(rejection.file, "dropped", rejection.reason, rejection.stage, rejection.message)

    @property
    def short_side(self) -> int | None:
        return min((s for s in (self.height, self.width) if s is not None), default=None)

    @property
    def duration_seconds(self) -> float | None:
        """Of the longer modality."""
        lengths = [s for s in (self.video_seconds, self.audio_seconds) if s is not None]
        return max(lengths, default=None)


@dataclass(frozen=True)
class ReasonCount:
    """How many clips were dropped for a reason, and the message of one of them."""

    reason: Reason
    count: int
    example: str


@dataclass(frozen=True)
class DataReport:
    """One row for each clip that was listed, in the order of the listing."""

    rows: tuple[ClipReport, ...]
    max_bad_fraction: float = 0.01

    def count(self, status: Status) -> int:
        return sum(row.status == status for row in self.rows)

    def usable(self) -> tuple[ClipReport, ...]:
        return tuple(row for row in self.rows if row.status != "dropped")

    @property
    def bad_fraction(self) -> float:
        """The bad part of all, 1 where nothing is left; a clip that only lacks the modality that is
        asked for does not count."""
        bad = [row for row in self.rows if row.reason is not None and row.reason not in LACKING]
        return len(bad) / len(self.rows) if self.usable() else 1.0

    @property
    def is_good(self) -> bool:
        """Whether training would go on with these clips."""
        return bool(self.usable()) and self.bad_fraction <= self.max_bad_fraction

    def reasons(self) -> list[ReasonCount]:
        """The most frequent first."""
        bad = [row for row in self.rows if row.reason is not None]
        counts = Counter(row.reason for row in bad if row.reason is not None)
        first = {row.reason: row for row in reversed(bad)}
        return [
            ReasonCount(reason, count, first[reason].message or "")
            for reason, count in counts.most_common()
        ]

    def adaptations(self) -> list[tuple[str, int]]:
        """What was done, with counts, the most frequent first; phrases that differ by their numbers
        only are counted together."""
        types: dict[str, Counter[str]] = {}
        for row in self.rows:
            for phrase in row.adaptations:
                types.setdefault(type_of(phrase), Counter())[phrase] += 1
        counts = []
        for phrases in types.values():
            others = len(phrases) - 1
            rest = f", and {others} like it with other numbers" if others else ""
            counts.append((f"{phrases.most_common(1)[0][0]}{rest}", phrases.total()))
        return sorted(counts, key=lambda item: -item[1])

    def save(self, folder: Path) -> Path:
        """Write `report.jsonl`, one row a line, whole or not at all."""
        path = folder / "report.jsonl"
        with atomic_write(path) as temporary:
            # JSON knows no NaN: other readers of it would fail at the row
            lines = (json.dumps(asdict(row), allow_nan=False) for row in self.rows)
            temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path


def type_of(phrase: str) -> str:
    """The first words of a phrase, without numbers: "cropped" of "cropped 30 x 16 -> 16 x 16"; its
    last word where it begins with a number: "fps" of "30 -> 16 fps"."""
    words = WORDS.fullmatch(phrase)
    return words.group(1) if words else phrase.split()[-1]
