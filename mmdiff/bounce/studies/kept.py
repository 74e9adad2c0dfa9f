"""What of a clip's looks is kept, and whether it goes on across a seam."""

from collections.abc import Sequence

from mmdiff.bounce.adherence import adherence
from mmdiff.bounce.bounce import PITCHES
from mmdiff.bounce.judge import Reading, judge
from mmdiff.bounce.meeting import percent
from mmdiff.bounce.seam import click_ratio, jump_ratio
from mmdiff.bounce.studies.truth import Truth, frames_of
from mmdiff.bounce.tracking import track
from mmdiff.evaluation.reconstruction import psnr
from mmdiff.evaluation.result import Figure
from mmdiff.media.clip import Clip

OBJECT = ("color", "shape", "size")


def kept_figures(
    truths: Sequence[Truth], readings: Sequence[Reading], *, wanted: float | None
) -> tuple[Figure, ...]:
    """The object (color, shape and size together, then each) and the background, in percent."""
    events = [truth.event for truth in truths]
    each = adherence(events, readings, attributes=(*OBJECT, "background"), wanted={})
    whole = [
        all(getattr(truth.event, name) == getattr(reading, name) for name in OBJECT)
        for truth, reading in zip(truths, readings, strict=True)
    ]
    count = len(truths)
    return (
        Figure("object (color, shape, size)", percent(whole), "%", wanted, count=count),
        Figure("background", each.value("background"), "%", wanted, count=count),
        *(figure for figure in each.figures if figure.name in OBJECT),
    )


def read_frames(clips: Sequence[Clip], *, first: int, last: int) -> list[Reading]:
    """What the judge reads in the frames from `first` to before `last`."""
    readings = []
    for clip in clips:
        assert clip.frames is not None
        readings.append(judge(Clip(frames=clip.frames[first:last], fps=clip.fps)))
    return readings


def psnr_each(truths: Sequence[Truth], clips: Sequence[Clip], *, frame: int) -> list[float]:
    """PSNR in dB of one frame of each clip against the same of the true one."""
    pairs = zip(truths, clips, strict=True)
    return [
        psnr(frames_of(truth)[frame], clip.frames[frame])
        for truth, clip in pairs
        if clip.frames is not None
    ]


def jumps(clips: Sequence[Clip], *, seams: Sequence[int]) -> list[float]:
    """The step of the object across each of the seams, over the clip's median step."""
    found = []
    for clip in clips:
        assert clip.frames is not None
        followed = track(clip.frames)
        found += [jump_ratio(followed.x, followed.y, seam=seam) for seam in seams]
    return found


def clicks(truths: Sequence[Truth], clips: Sequence[Clip], *, frames: Sequence[int]) -> list[float]:
    """The step of the sound at the start of each of the frames, over the usual step around it.

    Clips that were asked for silence are left out.
    """
    found = []
    for truth, clip in zip(truths, clips, strict=True):
        if truth.event.sound not in PITCHES or clip.waveform is None or clip.sample_rate is None:
            continue
        for frame in frames:
            seam = round(frame / clip.fps * clip.sample_rate)
            found.append(click_ratio(clip.waveform, seam=seam, sample_rate=clip.sample_rate))
    return found
