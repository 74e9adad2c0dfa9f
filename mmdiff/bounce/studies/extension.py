"""Extension: a true clip goes on, or began earlier, by a stretch that is made."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mmdiff.bounce.draw import draw
from mmdiff.bounce.judge import judge
from mmdiff.bounce.meeting import percent
from mmdiff.bounce.seam import WANTED_CLICK, WANTED_JUMP, ratio_figures
from mmdiff.bounce.studies.kept import clicks, jumps, kept_figures, read_frames
from mmdiff.bounce.studies.study import Asked, Stage, Study
from mmdiff.bounce.studies.truth import Truth
from mmdiff.conditioning.extend import Extend
from mmdiff.evaluation.result import Figure, Result
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape

Direction = Literal["forward", "backward"]


@dataclass(frozen=True, kw_only=True)
class Extension(Study):
    """By `num_frames` in each of the directions; the prompt is the whole caption."""

    num_frames: int = 16
    directions: tuple[Direction, ...] = ("forward", "backward")
    wanted_kept: float = 95.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths()
        for direction in self.directions:
            ask = self.asker(direction)
            clips = stage.make(f"extension {direction}", truths, ask)
            yield self.result(truths, clips, direction, stage.shape)
            name, given = f"extension_{direction}", [truths[0].clip]
            stage.show(name, truths[0], ask, given=given, words=self.words(direction))

    def result(
        self,
        truths: Sequence[Truth],
        clips: Sequence[Clip],
        direction: Direction,
        shape: ClipShape,
    ) -> Result:
        """What the judge reads in the new frames alone, and how they join the given ones."""
        is_forward = direction == "forward"
        seam = shape.num_frames if is_forward else self.num_frames
        total = shape.num_frames + self.num_frames
        new = (seam, total) if is_forward else (0, seam)
        readings = read_frames(clips, first=new[0], last=new[1])
        wholes = [judge(clip) for clip in clips]
        motion = [t.event.motion == r.motion for t, r in zip(truths, wholes, strict=True)]
        longer = replace(shape, num_frames=total)
        possible = [draw(truth.event, longer) for truth in truths] if is_forward else []
        figures = (
            *kept_figures(truths, readings, wanted=self.wanted_kept),
            *ratio_figures(
                "jump at the seam over the median step",
                jumps(clips, seams=[seam]),
                wanted=WANTED_JUMP,
                others=jumps(possible, seams=[seam]),
            ),
            *ratio_figures(
                "sample step at the seam over the median step",
                clicks(truths, clips, frames=[seam]),
                wanted=WANTED_CLICK,
            ),
            Figure("motion of the whole", percent(motion), "%", count=len(motion)),
        )
        title = f"Extension by {self.num_frames} frames, {direction}"
        return Result(f"extension_{direction}", title, figures)

    def asker(self, direction: Direction) -> Callable[[Truth], Asked]:
        """What is asked for a clip to grow in this direction."""

        def ask(truth: Truth) -> Asked:
            seconds = float(self.num_frames / truth.clip.fps)
            lengths = {"after_seconds" if direction == "forward" else "before_seconds": seconds}
            return Asked(truth.prompt, (Extend(truth.clip, **lengths),))

        return ask

    def words(self, direction: Direction) -> Callable[[Sequence[Path]], Sequence[str]]:
        """The same as words of the command line, for clips of 16 frames a second."""
        keys = ("after_seconds", "before_seconds")
        made, left = keys if direction == "forward" else reversed(keys)

        def words(given: Sequence[Path]) -> Sequence[str]:
            seconds = self.num_frames / 16
            return [
                "condition=extend",
                f"condition.clip={given[0]}",
                f"condition.{made}={seconds:g}",
                f"condition.{left}=0",
            ]

        return words
