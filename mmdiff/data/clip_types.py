"""Which modalities each listed clip has, so that a batch can be of clips that go together."""

import logging
from collections import Counter
from dataclasses import replace
from fractions import Fraction

from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.gate import read_entry
from mmdiff.data.listed_clips import ListedClips
from mmdiff.media.rejection import RejectedMedia
from mmdiff.values.latents import Modality

_log = logging.getLogger(__name__)

# the types; they name the buckets, which key the order of the clips in them
STILL, BOTH, PICTURE, SOUND = "still", "picture and sound", "picture", "sound"
LOOK_SECONDS = Fraction(1, 2)


def clip_types(clips: ListedClips) -> list[str]:
    """The type of every entry.

    Images are known by their names. Where the spec leaves the others no choice nothing is opened;
    otherwise the first half second of every file decides: sound that begins later does not count,
    and a file that cannot be read counts to the most frequent type, where reading it says why.
    """
    indices = range(len(clips.entries))
    stills = [clips.spec_of(index).num_frames < clips.spec.num_frames for index in indices]
    certain = _certain(clips.spec)
    if certain or all(stills):
        return [STILL if still else certain for still in stills]
    _log.info(
        "looking into %d files for picture and sound; data.spec.video and data.spec.audio "
        "(required or ignored) save it",
        stills.count(False),
    )
    seen = [STILL if still else _seen(clips, index) for index, still in enumerate(stills)]
    counts = Counter(one for one in seen if one not in ("", STILL))
    frequent = counts.most_common(1)[0][0] if counts else BOTH
    return [one or frequent for one in seen]


def spec_of_type(clip_type: str, spec: ClipSpec) -> ClipSpec:
    """What clips of a type are brought to: their modalities, and nothing else."""
    if clip_type == STILL:
        return spec.of_stills
    return replace(
        spec,
        video="ignored" if clip_type == SOUND else "required",
        audio="ignored" if clip_type == PICTURE else "required",
    )


def modalities_of_type(clip_type: str) -> set[Modality]:
    if clip_type == BOTH:
        return {"video", "audio"}
    return {"audio"} if clip_type == SOUND else {"video"}


def _certain(spec: ClipSpec) -> str:
    """The type of all clips but stills, as far as the spec alone tells; "" where it does not."""
    if spec.video == "ignored":
        return SOUND
    if spec.audio == "ignored":
        return PICTURE
    return BOTH if spec.video == spec.audio == "required" else ""


def _seen(clips: ListedClips, index: int) -> str:
    """The type of a file; "" where it cannot be read, or lacks what is required."""
    try:
        clip = read_entry(clips.entries[index], clips.limits, seconds=LOOK_SECONDS)
    except RejectedMedia:
        return ""
    if clip.frames is None:
        return "" if clips.spec.video == "required" else SOUND
    if clip.waveform is None:
        return "" if clips.spec.audio == "required" else PICTURE
    return BOTH
