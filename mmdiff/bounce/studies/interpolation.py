"""Interpolation: the first and the last frame are given as images, all between them is made."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmdiff.bounce.judge import judge
from mmdiff.bounce.meeting import percent
from mmdiff.bounce.seam import WANTED_JUMP, ratio_figures
from mmdiff.bounce.studies.kept import jumps, kept_figures, psnr_each
from mmdiff.bounce.studies.study import Asked, Stage, Study
from mmdiff.bounce.studies.truth import Truth, frames_of
from mmdiff.conditioning.keyframes import Keyframes
from mmdiff.evaluation.reconstruction import psnr_of_set
from mmdiff.evaluation.result import Figure, Result


@dataclass(frozen=True, kw_only=True)
class Interpolation(Study):
    """The prompt is the whole caption; the keyframes stand at second 0 and at the last frame."""

    wanted_kept: float = 95.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths()
        clips = stage.make("interpolation", truths, ask)
        readings = [judge(clip) for clip in clips]
        motion = [t.event.motion == r.motion for t, r in zip(truths, readings, strict=True)]
        seams = [1, stage.shape.num_frames - 1]
        count = len(truths)
        figures = (
            *kept_figures(truths, readings, wanted=self.wanted_kept),
            *ratio_figures(
                "jump at a keyframe over the median step",
                jumps(clips, seams=seams),
                wanted=WANTED_JUMP,
                others=jumps([truth.clip for truth in truths], seams=seams),
            ),
            Figure("motion", percent(motion), "%", count=count),
            Figure(
                "PSNR of the first frame",
                psnr_of_set(psnr_each(truths, clips, frame=0)),
                "dB",
                count=count,
            ),
            Figure(
                "PSNR of the last frame",
                psnr_of_set(psnr_each(truths, clips, frame=-1)),
                "dB",
                count=count,
            ),
        )
        yield Result("interpolation", "Interpolation between two keyframes", figures)
        images = [
            replace(truths[0].silent, frames=frames_of(truths[0])[at][None]) for at in (0, -1)
        ]
        stage.show("interpolation", truths[0], ask, given=images, words=_words)


def ask(truth: Truth) -> Asked:
    last = float((truth.clip.num_frames - 1) / truth.clip.fps)
    frames = frames_of(truth)
    return Asked(truth.prompt, (Keyframes({0.0: frames[0], last: frames[-1]}),))


def _words(given: Sequence[Path]) -> Sequence[str]:
    first, last = given
    return ["condition=keyframes", f"condition.images={{0: {first}, 2: {last}}}"]
