"""Partial noise: a clip is made anew from a part of the way, with a prompt of another color."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmdiff.bounce.adherence import adherence
from mmdiff.bounce.bounce import CHOICES, Bounce
from mmdiff.bounce.caption import caption
from mmdiff.bounce.judge import judge
from mmdiff.bounce.studies.study import Asked, Stage, Study
from mmdiff.bounce.studies.truth import Truth
from mmdiff.conditioning.partial_noise import PartialNoise
from mmdiff.evaluation.plot import Curve, save_curves
from mmdiff.evaluation.result import Figure, Result

KEPT = ("background", "size", "shape", "motion")


@dataclass(frozen=True, kw_only=True)
class VideoToVideo(Study):
    """For information: the stronger, the more the prompt has its way and the less is kept."""

    strengths: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    num_clips: int = 48

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(at_most=self.num_clips)
        asked, figures = [recolored(truth.event) for truth in truths], list[Figure]()
        for strength in self.strengths:
            ask = asker(strength)
            clips = stage.make(f"partial noise, strength {strength:g}", truths, ask)
            readings = [judge(clip) for clip in clips]
            after = adherence(asked, readings, attributes=("color", *KEPT), wanted={})
            before = adherence(
                [t.event for t in truths], readings, attributes=("color",), wanted={}
            )
            both = [before.figures[0], *after.figures[: 1 + len(KEPT)]]
            names = ["color kept", "color as asked", *(f"{name} kept" for name in KEPT)]
            figures += [
                replace(figure, name=f"strength {strength:g}: {name}")
                for figure, name in zip(both, names, strict=True)
            ]
        yield Result("partial_noise", "Video to video, prompt of another color", tuple(figures))
        self.plot(stage, figures)
        middle = self.strengths[len(self.strengths) // 2]
        stage.show(
            "partial_noise",
            truths[0],
            asker(middle),
            given=[truths[0].clip],
            words=lambda given: _words(given, middle),
        )

    def plot(self, stage: Stage, figures: Sequence[Figure]) -> None:
        """Percent over strength, one curve for each figure."""
        names = list(dict.fromkeys(figure.name.split(": ")[1] for figure in figures))
        curves = [
            Curve(name, self.strengths, [f.value for f in figures if f.name.endswith(f": {name}")])
            for name in names
        ]
        path = stage.run.folder / "partial_noise.png"
        save_curves(curves, path, x_label="strength", y_label="% of clips", title="Video to video")


def recolored(event: Bounce) -> Bounce:
    """The same event in the color that follows it in the list of colors."""
    colors = CHOICES["color"]
    return replace(event, color=colors[(colors.index(event.color) + 1) % len(colors)])  # type: ignore[arg-type]


def asker(strength: float) -> Callable[[Truth], Asked]:
    """What is asked for to change a clip by this much."""

    def ask(truth: Truth) -> Asked:
        condition = PartialNoise(truth.clip, strength=strength)
        return Asked(caption(recolored(truth.event)), (condition,))

    return ask


def _words(given: Sequence[Path], strength: float) -> Sequence[str]:
    clip = given[0]
    return ["condition=partial_noise", f"condition.clip={clip}", f"condition.strength={strength:g}"]
