"""Picture to sound: the true picture is given without its sound, and the pings are made to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdiff.bounce.judge import Reading, judge
from mmdiff.bounce.meeting import met, percent, unstrayed
from mmdiff.bounce.studies.study import Asked, Stage, Study
from mmdiff.bounce.studies.truth import Truth
from mmdiff.conditioning.given_video import GivenVideo
from mmdiff.evaluation.result import Figure, Result


@dataclass(frozen=True, kw_only=True)
class PictureToSound(Study):
    """Once with the prompt that says "a ping", and once with the one that says which."""

    wanted_met: float = 90.0
    wanted_unstrayed: float = 90.0
    wanted_pitch: float = 92.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        clips = stage.make("picture to sound", truths, ask_without_pitch)
        readings = [judge(clip) for clip in clips]
        figures = self.figures(truths, readings)
        yield Result("picture_to_sound", "Picture to sound, prompt without the pitch", figures)
        clips = stage.make("picture to sound, with pitch", truths, ask_with_pitch)
        readings = [judge(clip) for clip in clips]
        right = [t.event.sound == r.sound for t, r in zip(truths, readings, strict=True)]
        pitch = Figure("asked pitch", percent(right), "%", self.wanted_pitch, count=len(right))
        figures = (*self.figures(truths, readings), pitch)
        yield Result("picture_to_sound_pitch", "Picture to sound, prompt with the pitch", figures)
        stage.show(
            "picture_to_sound", truths[0], ask_with_pitch, given=[truths[0].silent], words=_words
        )

    def figures(self, truths: Sequence[Truth], readings: Sequence[Reading]) -> tuple[Figure, ...]:
        """What was heard, against the impacts of the picture up to its last frame."""
        onsets = [reading.onsets for reading in readings]
        seen, every = [t.seen_impacts for t in truths], [t.impacts for t in truths]
        true_onsets = [judge(truth.clip).onsets for truth in truths]
        return (
            met("true impacts with a ping within 62 ms", seen, onsets, wanted=self.wanted_met),
            met("the same, true sound", seen, true_onsets),
            unstrayed("no ping elsewhere", onsets, every, wanted=self.wanted_unstrayed),
        )


def ask_without_pitch(truth: Truth) -> Asked:
    return Asked(truth.prompt_without_pitch, (GivenVideo(truth.silent),))


def ask_with_pitch(truth: Truth) -> Asked:
    return Asked(truth.prompt, (GivenVideo(truth.silent),))


def _words(given: Sequence[Path]) -> Sequence[str]:
    return [f"video={given[0]}"]
