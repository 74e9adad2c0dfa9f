"""Sound to picture: the true pings are given, and the object has to hit the walls to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdiff.bounce.adherence import adherence
from mmdiff.bounce.judge import judge
from mmdiff.bounce.meeting import met
from mmdiff.bounce.studies.study import Asked, Stage, Study
from mmdiff.bounce.studies.truth import Truth
from mmdiff.conditioning.given_audio import GivenAudio
from mmdiff.evaluation.result import Result
from mmdiff.media.clip import Clip

PICTURE = ("background", "color", "size", "shape", "motion", "speed")


@dataclass(frozen=True, kw_only=True)
class SoundToPicture(Study):
    """The prompt is the whole caption."""

    wanted_met: float = 80.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        clips = stage.make("sound to picture", truths, ask)
        readings = [judge(clip) for clip in clips]
        onsets = [truth.impacts for truth in truths]  # a ping begins at its impact, to the sample
        impacts = [reading.impacts for reading in readings]
        true_impacts = [judge(truth.clip).impacts for truth in truths]
        events = [truth.event for truth in truths]
        looks = adherence(events, readings, attributes=PICTURE, wanted={})
        figures = (
            met("onsets with an impact within 62 ms", onsets, impacts, wanted=self.wanted_met),
            met("the same, true picture", onsets, true_impacts),
            *looks.figures,
        )
        yield Result("sound_to_picture", "Sound to picture", figures)
        sound = Clip(waveform=truths[0].clip.waveform, sample_rate=truths[0].clip.sample_rate)
        stage.show("sound_to_picture", truths[0], ask, given=[sound], words=_words)


def ask(truth: Truth) -> Asked:
    sound = Clip(waveform=truth.clip.waveform, sample_rate=truth.clip.sample_rate)
    return Asked(truth.prompt, (GivenAudio(sound),))


def _words(given: Sequence[Path]) -> Sequence[str]:
    return [f"audio={given[0]}"]
