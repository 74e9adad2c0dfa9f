"""Images are given and the frames between or after them are made: first frame, interpolation."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mmdiff.bounce.adherence import attribute_figures, kept_figures
from mmdiff.bounce.seam import jump_figures
from mmdiff.bounce.studies.study import Stage, Study
from mmdiff.bounce.studies.truth import Asked, Made, Truth
from mmdiff.conditioning.first_frame import FirstFrame
from mmdiff.conditioning.keyframes import Keyframes
from mmdiff.evaluation.reconstruction import psnr, psnr_of_set
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
        title = "First frame to clip, whole caption"
        yield stage.result("first_frame", title, truths, given_frame, self.figures)
        title = "First frame to clip, prompt that names only motion and sound"
        yield stage.result(
            "first_frame_motion", title, truths, given_frame_and_motion, self.figures
        )
        stage.show("first_frame", truths[0], given_frame_and_motion)

    def figures(self, made: Sequence[Made]) -> list[Figure]:
        """What the judge reads in all frames, and how the first one looks."""
        wanted = dict.fromkeys(LOOKS, self.wanted_kept) | {"motion": self.wanted_motion}
        each, num_clips = psnr_each(made, frame=0), len(made)
        return [
            *attribute_figures([one.pair for one in made], wanted, wanted=wanted),
            Figure(
                "PSNR of the first frame",
                psnr_of_set(each),
                "dB",
                self.wanted_psnr,
                count=num_clips,
            ),
            Figure("PSNR of the first frame, worst", min(each), "dB", count=num_clips),
        ]


@dataclass(frozen=True, kw_only=True)
class Interpolation(Study):
    """The prompt is the whole caption; the keyframes are the first and the last frame."""

    wanted_kept: float = 95.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths()
        title = "Interpolation between two keyframes"
        yield stage.result("interpolation", title, truths, given_ends, self.figures)
        stage.show("interpolation", truths[0], given_ends)

    def figures(self, made: Sequence[Made]) -> list[Figure]:
        pairs, clips = [one.pair for one in made], [one.clip for one in made]
        true_clips = [one.truth.clip for one in made]
        seams = [1, clips[0].num_frames - 1]
        ends = {"first": psnr_each(made, frame=0), "last": psnr_each(made, frame=-1)}
        return [
            *kept_figures(pairs, wanted=self.wanted_kept),
            *jump_figures(
                "jump at a keyframe over the median step", clips, true_clips, seams=seams
            ),
            *attribute_figures(pairs, ("motion",)),
            *(
                Figure(f"PSNR of the {end} frame", psnr_of_set(each), "dB", count=len(each))
                for end, each in ends.items()
            ),
        ]


def psnr_each(made: Sequence[Made], *, frame: int) -> list[float]:
    """PSNR in dB of one frame of each clip against the same of the true one."""
    return [psnr(one.truth.frames[frame], one.frames[frame]) for one in made]


def given_frame(truth: Truth) -> Asked:
    condition = FirstFrame(truth.frames[0])
    words = ("condition=first_frame", "condition.image={0}")
    return Asked(truth.prompt, (condition,), (_image(truth, 0),), words)


def given_frame_and_motion(truth: Truth) -> Asked:
    return replace(given_frame(truth), prompt=truth.prompt_of_motion)


def given_ends(truth: Truth) -> Asked:
    last = float((truth.clip.num_frames - 1) / truth.clip.fps)
    condition = Keyframes({0.0: truth.frames[0], last: truth.frames[-1]})
    words = ("condition=keyframes", f"condition.images={{{{0: {{0}}, {last:g}: {{1}}}}}}")
    return Asked(truth.prompt, (condition,), (_image(truth, 0), _image(truth, -1)), words)


def _image(truth: Truth, frame: int) -> Clip:
    return Clip(frames=truth.frames[frame][None], fps=truth.clip.fps)
