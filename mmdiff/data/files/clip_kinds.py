"""ClipKinds: which halves each listed clip has, so that a batch can be of clips that are alike."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.data.files.listed_clips import ListedClips
from mmdiff.data.files.read_entry import read_entry
from mmdiff.media.rejection import Rejection
from mmdiff.values.latents import MODALITIES, Modality

_log = logging.getLogger(__name__)
LOOK_SECONDS = Fraction(1, 2)
Halves = tuple[Modality, ...]


@dataclass(frozen=True)
class ClipKinds:
    """The halves of every entry of a listing, by its index.

    Where the spec leaves no choice nothing is opened. Otherwise the first half second of every file
    decides: sound that begins later does not count, and a file that cannot be read counts to the
    most frequent kind, where reading it says why.
    """

    halves: tuple[Halves, ...]

    @classmethod
    def of(cls, clips: ListedClips) -> "ClipKinds":
        certain = _certain(clips.spec)
        if certain:
            return cls((certain,) * len(clips.entries))
        _log.info(
            "looking into %d files for picture and sound; data.spec.picture and data.spec.sound "
            "(required or ignored) save it",
            len(clips.entries),
        )
        seen = [_seen(clips, index) for index in range(len(clips.entries))]
        counts = Counter(halves for halves in seen if halves)
        frequent = counts.most_common(1)[0][0] if counts else MODALITIES
        return cls(tuple(halves or frequent for halves in seen))

    def buckets(self) -> dict[Halves, list[int]]:
        """The entries of each kind."""
        found: dict[Halves, list[int]] = {}
        for index, halves in enumerate(self.halves):
            found.setdefault(halves, []).append(index)
        return found

    def spec(self, index: int, spec: ClipSpec) -> ClipSpec:
        """What entry `index` is brought to: both of its halves, and nothing else."""
        presence = {half: "required" if half in self.halves[index] else "ignored" for half in _SPEC}
        return replace(spec, **{_SPEC[half]: value for half, value in presence.items()})  # type: ignore[arg-type]


_SPEC: Mapping[Modality, str] = {"video": "picture", "audio": "sound"}


def in_words(halves: Halves) -> str:
    return " and ".join(_SPEC[half] for half in halves)


def _certain(spec: ClipSpec) -> Halves:
    """The halves of all clips as far as the spec alone tells; empty where it does not."""
    if spec.picture == "ignored":
        return ("audio",)
    if spec.sound == "ignored":
        return ("video",)
    return MODALITIES if spec.picture == spec.sound == "required" else ()


def _seen(clips: ListedClips, index: int) -> Halves:
    clip = read_entry(clips.entries[index], clips.limits, seconds=LOOK_SECONDS)
    if isinstance(clip, Rejection):
        return ()
    there = {"video": clip.frames is not None, "audio": clip.waveform is not None}
    missing = [half for half, name in _SPEC.items() if not there[half]]
    if any(getattr(clips.spec, _SPEC[half]) == "required" for half in missing):
        return ()
    return tuple(half for half in MODALITIES if there[half])
