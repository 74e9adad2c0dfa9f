"""One modality is given, the other is made to it: pings to the true video, video to the pings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mmdiff.bounce.adherence import adherence, attribute_figures
from mmdiff.bounce.judge import judge
from mmdiff.bounce.studies.study import Stage, Study
from mmdiff.bounce.studies.truth import Asked, Made, Truth
from mmdiff.conditioning.given_audio import GivenAudio
from mmdiff.conditioning.given_video import GivenVideo
from mmdiff.evaluation.result import Figure, Result
from mmdiff.evaluation.sync import clip_precision, recall
from mmdiff.media.clip import Clip

SEEN = ("background", "color", "size", "shape", "motion", "speed")


@dataclass(frozen=True, kw_only=True)
class PictureToSound(Study):
    """Once with the prompt that says "a ping", and once with the one that says which."""

    wanted_recall: float = 90.0
    wanted_precision: float = 90.0
    wanted_pitch: float = 92.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        title = "Picture to sound, prompt without the pitch"
        yield stage.result("picture_to_sound", title, truths, given_video, self.pings)
        title = "Picture to sound, prompt with the pitch"
        name = "picture_to_sound_pitch"
        yield stage.result(name, title, truths, given_video_and_pitch, self.pings_and_pitch)
        stage.show("picture_to_sound", truths[0], given_video_and_pitch)

    def pings(self, made: Sequence[Made]) -> list[Figure]:
        """What was heard, against the impacts of the video up to its last frame."""
        onsets = [one.reading.onsets for one in made]
        seen, every = [one.truth.seen_impacts for one in made], [one.truth.impacts for one in made]
        true_onsets = [judge(one.truth.clip).onsets for one in made]
        return [
            recall(
                "true impacts with a ping within 62 ms", seen, onsets, wanted=self.wanted_recall
            ),
            recall("the same, true sound", seen, true_onsets),
            clip_precision("no ping elsewhere", onsets, every, wanted=self.wanted_precision),
        ]

    def pings_and_pitch(self, made: Sequence[Made]) -> list[Figure]:
        (pitch,) = attribute_figures(
            [one.pair for one in made], ("sound",), wanted={"sound": self.wanted_pitch}
        )
        return [*self.pings(made), replace(pitch, name="asked pitch")]


@dataclass(frozen=True, kw_only=True)
class SoundToPicture(Study):
    """The prompt is the whole caption; the object has to hit the walls to the true pings."""

    wanted_recall: float = 80.0

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        title = "Sound to picture"
        yield stage.result("sound_to_picture", title, truths, given_audio, self.impacts)
        stage.show("sound_to_picture", truths[0], given_audio)

    def impacts(self, made: Sequence[Made]) -> list[Figure]:
        onsets = [one.truth.impacts for one in made]  # a ping begins at its impact, to the sample
        impacts = [one.reading.impacts for one in made]
        true_impacts = [judge(one.truth.clip).impacts for one in made]
        looks = adherence("", "", [one.pair for one in made], SEEN)
        name = "onsets with an impact within 62 ms"
        return [
            recall(name, onsets, impacts, wanted=self.wanted_recall),
            recall("the same, true picture", onsets, true_impacts),
            *looks.figures,
        ]


def given_video(truth: Truth) -> Asked:
    """The true video without its sound; the prompt says that there are pings, and not which."""
    given = (truth.silent,)
    return Asked(truth.prompt_without_pitch, (GivenVideo(truth.silent),), given, ("video={0}",))


def given_video_and_pitch(truth: Truth) -> Asked:
    return replace(given_video(truth), prompt=truth.prompt)


def given_audio(truth: Truth) -> Asked:
    sound = Clip(waveform=truth.clip.waveform, sample_rate=truth.clip.sample_rate)
    return Asked(truth.prompt, (GivenAudio(sound),), (sound,), ("audio={0}",))
