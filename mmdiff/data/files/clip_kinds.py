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
_SPEC: Mapping[Modality, str] = {"video": "picture", "audio": "sound"}


@dataclass(frozen=True)
class Kind:
    """What clips have in common that can be in one batch."""

    halves: tuple[Modality, ...]
    is_still: bool = False

    def __str__(self) -> str:
        return "still" if self.is_still else " and ".join(_SPEC[half] for half in self.halves)


STILL = Kind(("video",), is_still=True)


@dataclass(frozen=True)
class ClipKinds:
    """The kind of every entry of a listing, by its index.

    Images are known by their names. Where the spec leaves the others no choice nothing is opened;
    otherwise the first half second of every file decides: sound that begins later does not count,
    and a file that cannot be read counts to the most frequent kind, where reading it says why.
    """

    kinds: tuple[Kind, ...]

    @classmethod
    def of(cls, clips: ListedClips) -> "ClipKinds":
        stills = [
            clips.spec_of(index).num_frames < clips.spec.num_frames
            for index in range(len(clips.entries))
        ]
        certain = _certain(clips.spec)
        if certain or all(stills):
            return cls(tuple(STILL if still else certain or STILL for still in stills))
        _log.info(
            "looking into %d files for picture and sound; data.spec.picture and data.spec.sound "
            "(required or ignored) save it",
            stills.count(False),
        )
        seen = [STILL if still else _seen(clips, index) for index, still in enumerate(stills)]
        counts = Counter(kind for kind in seen if kind not in (None, STILL))
        frequent = counts.most_common(1)[0][0] if counts else Kind(MODALITIES)
        return cls(tuple(kind or frequent for kind in seen))

    def buckets(self) -> dict[Kind, list[int]]:
        """The entries of each kind."""
        found: dict[Kind, list[int]] = {}
        for index, kind in enumerate(self.kinds):
            found.setdefault(kind, []).append(index)
        return found

    def spec(self, index: int, spec: ClipSpec) -> ClipSpec:
        """What entry `index` is brought to: the halves of its kind, and nothing else."""
        kind = self.kinds[index]
        if kind.is_still:
            return spec.of_stills
        presence = {half: "required" if half in kind.halves else "ignored" for half in _SPEC}
        return replace(spec, **{_SPEC[half]: value for half, value in presence.items()})  # type: ignore[arg-type]


def _certain(spec: ClipSpec) -> Kind | None:
    """The kind of all clips but stills, as far as the spec alone tells; None where it does not."""
    if spec.picture == "ignored":
        return Kind(("audio",))
    if spec.sound == "ignored":
        return Kind(("video",))
    return Kind(MODALITIES) if spec.picture == spec.sound == "required" else None


def _seen(clips: ListedClips, index: int) -> Kind | None:
    clip = read_entry(clips.entries[index], clips.limits, seconds=LOOK_SECONDS)
    if isinstance(clip, Rejection):
        return None
    there = {"video": clip.frames is not None, "audio": clip.waveform is not None}
    missing = [half for half, name in _SPEC.items() if not there[half]]
    if any(getattr(clips.spec, _SPEC[half]) == "required" for half in missing):
        return None
    return Kind(tuple(half for half in MODALITIES if there[half]))
