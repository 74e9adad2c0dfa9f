"""Inpainting of the sound: a span of it is made anew, to the picture and the rest of the sound."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mmdiff.bounce.judge import Reading, judge
from mmdiff.bounce.meeting import WITHIN_SECONDS, met, percent, unstrayed
from mmdiff.bounce.seam import WANTED_CLICK, ratio_figures
from mmdiff.bounce.studies.kept import clicks
from mmdiff.bounce.studies.study import Asked, Stage, Study
from mmdiff.bounce.studies.truth import Truth
from mmdiff.conditioning.inpaint import Inpaint
from mmdiff.evaluation.result import Figure, Result
from mmdiff.evaluation.sync import distances
from mmdiff.media.clip import Clip


@dataclass(frozen=True, kw_only=True)
class SoundInpainting(Study):
    """first_frame, last_frame: the span that is made, from the one to before the other."""

    first_frame: int = 8
    last_frame: int = 20
    wanted_consistent: float = 90.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        clips = stage.make("inpainting, sound", truths, self.ask)
        yield self.result(truths, clips)
        stage.show(
            "inpainting_sound",
            truths[0],
            self.ask,
            given=[truths[0].clip],
            words=lambda given: self.words(truths[0], given),
        )

    def result(self, truths: Sequence[Truth], clips: Sequence[Clip]) -> Result:
        """Whether all outside is as it was; and inside, the pings of the impacts there."""
        readings = [judge(clip) for clip in clips]
        pairs = list(zip(truths, clips, strict=True))
        exact = [
            bool((_outside(t.clip, self.span(t)) == _outside(c, self.span(t))).all())
            for t, c in pairs
        ]
        onsets = [reading.onsets for reading in readings]
        inside = [self.inside(t, t.impacts) for t in truths]
        made = [self.inside(t, moments) for t, moments in zip(truths, onsets, strict=True)]
        every = [truth.impacts for truth in truths]
        consistent = [self.is_consistent(t, r) for t, r in zip(truths, readings, strict=True)]
        right = [t.event.sound == r.sound for t, r in zip(truths, readings, strict=True)]
        wanted, count = self.wanted_consistent, len(truths)
        figures = (
            Figure("outside as it was, to the bit", percent(exact), "% of clips", 100, count=count),
            met("impacts in the span with a ping within 62 ms", inside, onsets, wanted=wanted),
            unstrayed("no ping elsewhere in the span", made, every, wanted=wanted),
            Figure("pitch", percent(right), "%", wanted, count=count),
            Figure("all of these", percent(consistent), "% of clips", count=count),
            *ratio_figures(
                "sample step at the seams over the median step",
                clicks(truths, clips, frames=[self.first_frame, self.last_frame]),
                wanted=WANTED_CLICK,
            ),
        )
        return Result("inpainting_sound", "Inpainting of a span of sound", figures)

    def span(self, truth: Truth) -> list[float]:
        """In seconds."""
        return [float(at / truth.clip.fps) for at in (self.first_frame, self.last_frame)]

    def inside(self, truth: Truth, moments: Sequence[float]) -> list[float]:
        """Those of the moments that lie in the span, and not so near its ends that they may be
        read on either side."""
        first, last = self.span(truth)
        margin = WITHIN_SECONDS / 2
        return [moment for moment in moments if first + margin <= moment <= last - margin]

    def is_consistent(self, truth: Truth, reading: Reading) -> bool:
        """Every impact of the span is heard, nothing else is, and at the pitch of the prompt."""
        gaps = [
            *distances(self.inside(truth, truth.impacts), reading.onsets),
            *distances(self.inside(truth, reading.onsets), truth.impacts),
        ]
        return truth.event.sound == reading.sound and all(gap <= WITHIN_SECONDS for gap in gaps)

    def ask(self, truth: Truth) -> Asked:
        condition = Inpaint(truth.clip, seconds=self.span(truth), keep_exact=True)
        return Asked(truth.prompt, (condition,))

    def words(self, truth: Truth, given: Sequence[Path]) -> list[str]:
        """The same as words of the command line."""
        span = ",".join(f"{seconds:g}" for seconds in self.span(truth))
        words = [f"condition.clip={given[0]}", f"condition.seconds=[{span}]"]
        return ["condition=inpaint", *words, "condition.keep_exact=true"]


def _outside(clip: Clip, span: Sequence[float]) -> Tensor:
    """The samples before and after the span."""
    assert clip.waveform is not None and clip.sample_rate is not None
    first, last = (round(seconds * clip.sample_rate) for seconds in span)
    sound = clip.waveform[0]
    return torch.cat([sound[:first], sound[last:]])
