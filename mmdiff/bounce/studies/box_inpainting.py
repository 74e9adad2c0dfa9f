"""Inpainting of the picture: a box that hides the object at mid-clip is filled in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mmdiff.bounce.adherence import adherence
from mmdiff.bounce.judge import judge
from mmdiff.bounce.meeting import percent
from mmdiff.bounce.studies.kept import OBJECT
from mmdiff.bounce.studies.study import Asked, Stage, Study
from mmdiff.bounce.studies.truth import Truth, frames_of
from mmdiff.bounce.tracking import track
from mmdiff.conditioning.inpaint import Inpaint
from mmdiff.evaluation.result import Figure, Result
from mmdiff.media.clip import Clip

CONSISTENT = (*OBJECT, "background", "motion")


@dataclass(frozen=True, kw_only=True)
class BoxInpainting(Study):
    """box: its side, as a share of the picture's shorter one. near: of that side as well."""

    box: float = 0.5
    near: float = 0.0625
    wanted_consistent: float = 90.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths()
        clips = stage.make("inpainting, box", truths, self.ask)
        yield self.result(truths, clips)
        stage.show(
            "inpainting_box",
            truths[0],
            self.ask,
            given=[truths[0].clip],
            words=lambda given: self.words(truths[0], given),
        )

    def result(self, truths: Sequence[Truth], clips: Sequence[Clip]) -> Result:
        """Whether all outside is as it was; what the judge reads; and where the object went."""
        events, readings = [t.event for t in truths], [judge(clip) for clip in clips]
        read = adherence(events, readings, attributes=CONSISTENT, wanted={})
        masks = [self.mask(truth) for truth in truths]
        exact = [
            bool((frames_of(t)[:, ~mask] == _frames(c)[:, ~mask]).all())
            for t, c, mask in zip(truths, clips, masks, strict=True)
        ]
        placed = [
            hit
            for truth, clip, mask in zip(truths, clips, masks, strict=True)
            for hit in self.placed(truth, clip, mask)
        ]
        count = len(truths)
        figures = (
            Figure(
                "outside as it was, to the bit", percent(exact), "% of clips", 100.0, count=count
            ),
            Figure("consistent", read.value("all"), "%", self.wanted_consistent, count=count),
            *(figure for figure in read.figures if figure.name in CONSISTENT),
            Figure("hidden object where it was", percent(placed), "% of frames", count=len(placed)),
        )
        return Result("inpainting_box", "Inpainting of a box that hides the object", figures)

    def sides(self, truth: Truth) -> list[int]:
        """top, left, bottom, right of the box to be made: around the object at mid-clip."""
        frames = frames_of(truth)
        height, width = frames.shape[1:3]
        side = max(8, round(self.box * min(height, width) / 8) * 8)
        middle = track(frames[len(frames) // 2][None])
        top = _first(float(middle.y[0]), side, length=height)
        left = _first(float(middle.x[0]), side, length=width)
        return [top, left, top + side, left + side]

    def mask(self, truth: Truth) -> Tensor:
        """height width, True where the picture is made."""
        top, left, bottom, right = self.sides(truth)
        mask = torch.zeros(frames_of(truth).shape[1:3], dtype=torch.bool)
        mask[top:bottom, left:right] = True
        return mask

    def ask(self, truth: Truth) -> Asked:
        return Asked(truth.prompt, (Inpaint(truth.clip, self.sides(truth), keep_exact=True),))

    def words(self, truth: Truth, given: Sequence[Path]) -> list[str]:
        """The same as words of the command line."""
        box = ",".join(map(str, self.sides(truth)))
        words = [f"condition.clip={given[0]}", f"condition.mask=[{box}]"]
        return ["condition=inpaint", *words, "condition.keep_exact=true"]

    def placed(self, truth: Truth, clip: Clip, mask: Tensor) -> list[bool]:
        """Of the frames whose moving object is hidden by more than half: is it near its place?"""
        if truth.event.motion == "standing still":
            return []
        true, made = track(frames_of(truth)), track(_frames(clip))
        hidden = (true.coverage * mask).sum((1, 2)) > 0.5 * true.area
        away = ((true.x - made.x).square() + (true.y - made.y).square()).sqrt()
        is_near = made.is_seen & (away <= self.near * min(mask.shape))
        return [bool(near) for near, is_hidden in zip(is_near, hidden, strict=True) if is_hidden]


def _first(centre: float, side: int, *, length: int) -> int:
    """The first pixel of a box of whole latents that holds the centre, inside the picture."""
    return min(max(0, round((centre - side / 2) / 8) * 8), length - side)


def _frames(clip: Clip) -> Tensor:
    assert clip.frames is not None
    return clip.frames
