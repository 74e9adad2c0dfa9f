"""First frame to clip: the true first frame is given, the prompt says what happens next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmdiff.bounce.adherence import adherence
from mmdiff.bounce.judge import judge
from mmdiff.bounce.studies.kept import psnr_each
from mmdiff.bounce.studies.study import Asked, Stage, Study
from mmdiff.bounce.studies.truth import Truth, frames_of
from mmdiff.conditioning.first_frame import FirstFrame
from mmdiff.evaluation.reconstruction import psnr_of_set
from mmdiff.evaluation.result import Figure, Result
from mmdiff.media.clip import Clip

LOOKS = ("background", "color", "size", "shape")


@dataclass(frozen=True, kw_only=True)
class FirstFrameToClip(Study):
    """Once with the whole caption, and once with a prompt that says nothing of the looks."""

    wanted_kept: float = 95.0
    wanted_motion: float = 88.0
    wanted_psnr: float = 27.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths()
        clips = stage.make("first frame", truths, ask)
        yield self.result(truths, clips, "first_frame", "First frame to clip, whole caption")
        clips = stage.make("first frame, motion named", truths, ask_for_motion)
        title = "First frame to clip, prompt that names only motion and sound"
        yield self.result(truths, clips, "first_frame_motion", title)
        image = replace(truths[0].silent, frames=frames_of(truths[0])[:1])
        stage.show("first_frame", truths[0], ask_for_motion, given=[image], words=_words)

    def result(
        self, truths: Sequence[Truth], clips: Sequence[Clip], name: str, title: str
    ) -> Result:
        """What the judge reads in all frames, and how the first one looks."""
        events = [truth.event for truth in truths]
        wanted = dict.fromkeys(LOOKS, self.wanted_kept) | {"motion": self.wanted_motion}
        readings = [judge(clip) for clip in clips]
        read = adherence(events, readings, attributes=(*LOOKS, "motion"), wanted=wanted)
        each = psnr_each(truths, clips, frame=0)
        pictures = (
            Figure(
                "PSNR of the first frame",
                psnr_of_set(each),
                "dB",
                self.wanted_psnr,
                count=len(each),
            ),
            Figure("PSNR of the first frame, worst", min(each), "dB", count=len(each)),
        )
        kept = [figure for figure in read.figures if figure.name in wanted]
        return Result(name, title, (*kept, *pictures))


def ask(truth: Truth) -> Asked:
    return Asked(truth.prompt, (FirstFrame(frames_of(truth)[0]),))


def ask_for_motion(truth: Truth) -> Asked:
    return Asked(truth.prompt_of_motion, (FirstFrame(frames_of(truth)[0]),))


def _words(given: Sequence[Path]) -> Sequence[str]:
    return ["condition=first_frame", f"condition.image={given[0]}"]
