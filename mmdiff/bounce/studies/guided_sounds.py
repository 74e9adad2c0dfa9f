"""Guided sounds: picture to sound, with each variant of guidance."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mmdiff.bounce.judge import Reading, judge
from mmdiff.bounce.meeting import met, unstrayed
from mmdiff.bounce.studies.picture_to_sound import ask_without_pitch
from mmdiff.bounce.studies.study import Stage, Study
from mmdiff.bounce.studies.truth import Truth
from mmdiff.bounce.studies.variant import BASELINE, Variant, gathered, side_by_side
from mmdiff.evaluation.result import Figure, Result
from mmdiff.media.clip import Clip


@dataclass(frozen=True, kw_only=True)
class GuidedSounds(Study):
    """How many true impacts have their ping, without guidance across the modalities and with it."""

    variants: Mapping[str, Variant]

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        label = "picture to sound, guided"
        batches = side_by_side(
            stage, truths, ask_without_pitch, variants=self.variants, settings={}, label=label
        )
        found, seconds = gathered(batches, _read)
        seen, every = [t.seen_impacts for t in truths], [t.impacts for t in truths]
        figures: list[Figure] = []
        for name in (BASELINE, *self.variants):
            onsets = [reading.onsets for reading in found[name]]
            ratio = seconds[name] / seconds[BASELINE]
            figures += [
                met(f"{name}: impacts with a ping within 62 ms", seen, onsets),
                unstrayed(f"{name}: no ping elsewhere", onsets, every),
                Figure(f"{name}: time over {BASELINE}", ratio, "", better="lower"),
            ]
        yield Result("guided_sounds", "Picture to sound by guidance", tuple(figures))


def _read(truth: Truth, clip: Clip) -> Reading:
    return judge(clip)
