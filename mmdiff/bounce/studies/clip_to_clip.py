"""A true clip goes on, or began earlier; or it is made anew, with a prompt of another color."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from mmdiff.bounce.adherence import attribute_figures, kept_figures
from mmdiff.bounce.bounce import CHOICES, Bounce
from mmdiff.bounce.caption import caption
from mmdiff.bounce.draw import draw
from mmdiff.bounce.judge import judge
from mmdiff.bounce.seam import click_figures, jump_figures
from mmdiff.bounce.studies.study import Stage, Study
from mmdiff.bounce.studies.truth import Asked, Made, Truth
from mmdiff.conditioning.extend import Extend
from mmdiff.conditioning.partial_noise import PartialNoise
from mmdiff.evaluation.plot import save_curves
from mmdiff.evaluation.result import Figure, Result
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape

Direction = Literal["forward", "backward"]
KEPT = ("background", "size", "shape", "motion")


@dataclass(frozen=True, kw_only=True)
class Extension(Study):
    """By `num_frames` in each of the directions; the prompt is the whole caption."""

    num_frames: int = 16
    directions: tuple[Direction, ...] = ("forward", "backward")
    wanted_kept: float = 95.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths()
        for direction in self.directions:
            name = f"extension_{direction}"
            title = f"Extension by {self.num_frames} frames, {direction}"
            ask = partial(self.ask, direction)
            figures = partial(self.figures, direction, stage.shape)
            yield stage.result(name, title, truths, ask, figures)
            stage.show(name, truths[0], ask)

    def figures(self, direction: Direction, shape: ClipShape, made: Sequence[Made]) -> list[Figure]:
        """What the judge reads in the new frames alone, and how they join the given ones."""
        clips, total = [one.clip for one in made], shape.num_frames + self.num_frames
        true_clips: list[Clip] = []  # the world does not say what was before its events
        seam, new = self.num_frames, slice(self.num_frames)
        if direction == "forward":
            seam, new = shape.num_frames, slice(shape.num_frames, total)
            longer = replace(shape, num_frames=total)
            true_clips = [draw(one.truth.event, longer) for one in made]
        parts = [Clip(frames=one.frames[new], fps=one.clip.fps) for one in made]
        readings = [(one.truth.event, judge(part)) for one, part in zip(made, parts, strict=True)]
        sounding = [one.clip for one in made if not one.truth.event.is_silent]
        (motion,) = attribute_figures([one.pair for one in made], ("motion",))
        jump, click = "jump at the seam", "sample step at the seam"
        return [
            *kept_figures(readings, wanted=self.wanted_kept),
            *jump_figures(f"{jump} over the median step", clips, true_clips, seams=[seam]),
            *click_figures(f"{click} over the median step", sounding, seams=[seam]),
            replace(motion, name="motion of the whole"),
        ]

    def ask(self, direction: Direction, truth: Truth) -> Asked:
        seconds = float(self.num_frames / truth.clip.fps)
        lengths = {"after_seconds": seconds, "before_seconds": 0.0}
        if direction == "backward":
            lengths = {"before_seconds": seconds, "after_seconds": 0.0}
        words = [f"condition.{name}={length:g}" for name, length in lengths.items()]
        words = ["condition=extend", "condition.clip={0}", *words]
        return Asked(truth.prompt, (Extend(truth.clip, **lengths),), (truth.clip,), tuple(words))


@dataclass(frozen=True, kw_only=True)
class VideoToVideo(Study):
    """For information: the stronger, the more the prompt has its way and the less is kept."""

    strengths: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    num_clips: int = 48

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(at_most=self.num_clips)
        figures: list[Figure] = []
        curves: dict[str, dict[float, float]] = {}
        for strength in self.strengths:
            made = stage.make(f"partial noise, {strength:g}", truths, partial(recolor, strength))
            for figure in kept_and_asked(made):
                curves.setdefault(figure.name, {})[strength] = figure.value
                figures.append(replace(figure, name=f"strength {strength:g}: {figure.name}"))
        yield Result("partial_noise", "Video to video, prompt of another color", tuple(figures))
        path = stage.run.folder / "partial_noise.png"
        save_curves(curves, path, x_label="strength", y_label="% of clips", title="Video to video")
        middle = self.strengths[len(self.strengths) // 2]
        stage.show("partial_noise", truths[0], partial(recolor, middle))


def kept_and_asked(made: Sequence[Made]) -> list[Figure]:
    """The color of the given clip, that of the prompt, and what else should be as it was."""
    (before,) = attribute_figures([one.pair for one in made], ("color",))
    asked = [(recolored(one.truth.event), one.reading) for one in made]
    color, *kept = attribute_figures(asked, ("color", *KEPT))
    return [
        replace(before, name="color kept"),
        replace(color, name="color as asked"),
        *(replace(figure, name=f"{figure.name} kept") for figure in kept),
    ]


def recolored(event: Bounce) -> Bounce:
    """The same event in the color that follows it in the list of colors."""
    colors = CHOICES["color"]
    return replace(event, color=colors[(colors.index(event.color) + 1) % len(colors)])


def recolor(strength: float, truth: Truth) -> Asked:
    """What is asked for to change a clip by this much."""
    words = ("condition=partial_noise", "condition.clip={0}", f"condition.strength={strength:g}")
    condition = PartialNoise(truth.clip, strength=strength)
    return Asked(caption(recolored(truth.event)), (condition,), (truth.clip,), words)
