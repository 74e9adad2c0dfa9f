"""Inpainting: a box of the video that hides the object, or a span of the sound, is made anew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.bounce.adherence import OBJECT, agree, attribute_figures
from mmdiff.bounce.bounce import STILL
from mmdiff.bounce.seam import click_figures
from mmdiff.bounce.studies.study import Stage, Study
from mmdiff.bounce.studies.truth import Asked, Made, Truth
from mmdiff.bounce.tracking import track
from mmdiff.conditioning.inpaint import Inpaint
from mmdiff.evaluation.result import Figure, Result, percent_figure
from mmdiff.evaluation.sync import WITHIN_SECONDS, Seconds, clip_precision, distances, recall
from mmdiff.media.clip import Clip

CONSISTENT = (*OBJECT, "background", "motion")
CELL = 8  # pixels that one latent of the bundled autoencoder stands for, each way


@dataclass(frozen=True, kw_only=True)
class BoxInpainting(Study):
    """box: its side, as a share of the video's shorter one. near: of that side as well."""

    box: float = 0.5
    near: float = 0.0625
    wanted_consistent: float = 90.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths()
        title = "Inpainting of a box that hides the object"
        yield stage.result("inpainting_box", title, truths, self.ask, self.figures)
        stage.show("inpainting_box", truths[0], self.ask)

    def figures(self, made: Sequence[Made]) -> list[Figure]:
        """Whether all outside is as it was; what the judge reads; and where the object went."""
        pairs, masks = [one.pair for one in made], [self.mask(one.truth) for one in made]
        masked = list(zip(made, masks, strict=True))
        exact = [torch.equal(one.truth.frames[:, ~m], one.frames[:, ~m]) for one, m in masked]
        right = [agree(*pair, CONSISTENT) for pair in pairs]
        found = [is_near for one, mask in masked for is_near in self.is_object_near(one, mask)]
        return [
            percent_figure("outside as it was, to the bit", exact, "% of clips", wanted=100.0),
            percent_figure("consistent", right, wanted=self.wanted_consistent),
            *attribute_figures(pairs, CONSISTENT),
            percent_figure("hidden object where it was", found, "% of frames"),
        ]

    def sides(self, truth: Truth) -> list[int]:
        """top, left, bottom, right of the box to be made: around the object at mid-clip."""
        frames = truth.frames
        height, width = frames.shape[1:3]
        side = max(CELL, round(self.box * min(height, width) / CELL) * CELL)
        middle = track(frames[len(frames) // 2][None])
        top = _first(float(middle.y[0]), side, length=height)
        left = _first(float(middle.x[0]), side, length=width)
        return [top, left, top + side, left + side]

    def mask(self, truth: Truth) -> Tensor:
        """height width, True where the video is made."""
        top, left, bottom, right = self.sides(truth)
        mask = torch.zeros(truth.frames.shape[1:3], dtype=torch.bool)
        mask[top:bottom, left:right] = True
        return mask

    def ask(self, truth: Truth) -> Asked:
        sides = self.sides(truth)
        mask = f"condition.mask=[{','.join(map(str, sides))}]"
        words = ("condition=inpaint", "condition.clip={0}", mask, "condition.keep_exact=true")
        condition = Inpaint(truth.clip, sides, keep_exact=True)
        return Asked(truth.prompt, (condition,), (truth.clip,), words)

    def is_object_near(self, made: Made, mask: Tensor) -> list[bool]:
        """In each frame that hides half of a moving object: is it near its true position?"""
        if made.truth.event.motion == STILL:
            return []
        true, found = track(made.truth.frames), track(made.frames)
        is_hidden = (true.coverage * mask).sum((1, 2)) > 0.5 * true.area
        away = ((true.x - found.x).square() + (true.y - found.y).square()).sqrt()
        is_near = found.is_seen & (away <= self.near * min(mask.shape))
        near: list[bool] = is_near[is_hidden].tolist()
        return near


@dataclass(frozen=True, kw_only=True)
class SoundInpainting(Study):
    """first_frame, last_frame: the span that is made, from the one to before the other."""

    first_frame: int = 8
    last_frame: int = 20
    wanted_consistent: float = 90.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        title = "Inpainting of a span of sound"
        yield stage.result("inpainting_sound", title, truths, self.ask, self.figures)
        stage.show("inpainting_sound", truths[0], self.ask)

    def figures(self, made: Sequence[Made]) -> list[Figure]:
        """Whether all outside is as it was; and inside, the pings of the impacts there."""
        exact = [torch.equal(self.outside(one.truth.clip), self.outside(one.clip)) for one in made]
        true = [one.truth.impacts for one in made]
        found = [one.reading.onsets for one in made]
        true_inside = [self.inside(one.clip, one.truth.impacts) for one in made]
        found_inside = [self.inside(one.clip, one.reading.onsets) for one in made]
        pitch = [agree(*one.pair, ("sound",)) for one in made]
        right = [
            is_right and _are_near(true_inside[i], found[i]) and _are_near(found_inside[i], true[i])
            for i, is_right in enumerate(pitch)
        ]
        impacts, bound = "impacts in the span with a ping within 62 ms", self.wanted_consistent
        return [
            percent_figure("outside as it was, to the bit", exact, "% of clips", wanted=100.0),
            recall(impacts, true_inside, found, wanted=bound),
            clip_precision("no ping elsewhere in the span", found_inside, true, wanted=bound),
            percent_figure("pitch", pitch, wanted=bound),
            percent_figure("all of these", right, "% of clips"),
            *click_figures(
                "sample step at the seams over the median step",
                [one.clip for one in made],
                seams=[self.first_frame, self.last_frame],
            ),
        ]

    def span(self, clip: Clip) -> list[float]:
        """In seconds."""
        return [float(frame / clip.fps) for frame in (self.first_frame, self.last_frame)]

    def inside(self, clip: Clip, events: Seconds) -> list[float]:
        """Those of the events that lie in the span, and not so near its ends that they may be read
        on either side."""
        first, last = self.span(clip)
        margin = WITHIN_SECONDS / 2
        return [seconds for seconds in events if first + margin <= seconds <= last - margin]

    def outside(self, clip: Clip) -> Tensor:
        """The samples before and after the span."""
        assert clip.waveform is not None and clip.sample_rate is not None
        first, last = (round(seconds * clip.sample_rate) for seconds in self.span(clip))
        return torch.cat([clip.waveform[0, :first], clip.waveform[0, last:]])

    def ask(self, truth: Truth) -> Asked:
        span = self.span(truth.clip)
        seconds = f"condition.seconds=[{','.join(f'{at:g}' for at in span)}]"
        words = ("condition=inpaint", "condition.clip={0}", seconds, "condition.keep_exact=true")
        condition = Inpaint(truth.clip, seconds=span, keep_exact=True)
        return Asked(truth.prompt, (condition,), (truth.clip,), words)


def _are_near(events: Seconds, others: Seconds) -> bool:
    return all(gap <= WITHIN_SECONDS for gap in distances(events, others))


def _first(centre: float, side: int, *, length: int) -> int:
    """The first pixel of a box of whole latents that holds the centre, inside the video."""
    return min(max(0, round((centre - side / 2) / CELL) * CELL), length - side)
