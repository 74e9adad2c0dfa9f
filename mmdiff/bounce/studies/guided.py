"""What each variant of guidance brings and costs: from text to clip, and from video to sound.

Equal prompts and seeds, one variant after the other in every batch, so that their times compare.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mmdiff.bounce.adherence import Pair, attribute_figures, impact_sync
from mmdiff.bounce.bounce import STILL
from mmdiff.bounce.studies.cross_modal import given_video
from mmdiff.bounce.studies.study import Stage, Study, read
from mmdiff.bounce.studies.truth import Ask, Asked, Made, Truth
from mmdiff.bounce.tracking import track
from mmdiff.evaluation.consistency import flicker, motion_range, warp_error
from mmdiff.evaluation.plot import save_bars
from mmdiff.evaluation.result import Figure, Result, mean
from mmdiff.evaluation.sync import clip_precision, recall
from mmdiff.guidance.backbone_guiders import ModalityGuidance
from mmdiff.guidance.frame_consistency import FrameConsistency

BASELINE = "classifier-free alone"
RANGE, SECONDS = "motion range", "time a clip"
PIXELS = {"warp error": warp_error, "flicker": flicker}
UNITS = {
    "warp error": "of 255",
    "flicker": "of 255",
    "adherence": "%",
    RANGE: "widths",
    "sync, 90th percentile": "ms",
    SECONDS: "s",
}
T = TypeVar("T")
Means = Mapping[str, float]  # over the clips, under the names of `UNITS`


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is added to classifier-free guidance at the checkpoint's own scales.

    is_bound: whether the study's bounds are held against it; the others are for information.
    """

    guiders: Sequence[Any] = ()
    is_bound: bool = False

    def all_guiders(self) -> list[Any]:
        """What the variant adds; and nothing else, whatever the checkpoint does by default."""
        absent = [
            guider(0.0)
            for guider in (FrameConsistency, ModalityGuidance)
            if not any(isinstance(one, guider) for one in self.guiders)
        ]
        return [*self.guiders, *absent]


@dataclass(frozen=True, kw_only=True)
class GuidedClips(Study):
    """One table a variant, at each share of the checkpoint's own number of steps.

    wanted_...: held against the variants that are bound: percent that warp error or flicker must
    fall, points that adherence may fall, percent that the motion range may fall, and times the cost
    of classifier-free guidance alone.
    """

    variants: Mapping[str, Variant]
    step_shares: Sequence[float] = (1.0, 0.5)
    wanted_steadier: float = 25.0
    wanted_adherence_lost: float = 1.0
    wanted_range_lost: float = 5.0
    wanted_cost: float = 1.5

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths()
        rebuilt = stage.rebuilt(truths)
        # what the autoencoder leaves of true clips, and guidance can do nothing about
        least = {name: mean([measure(one) for one in rebuilt]) for name, measure in PIXELS.items()}
        for share in self.step_shares:
            steps = max(1, round(share * stage.run.pipe.config.default_num_inference_steps))
            yield from self.at(steps, stage, truths, least)

    def at(
        self, steps: int, stage: Stage, truths: Sequence[Truth], least: Means
    ) -> Iterator[Result]:
        """The tables at one number of steps."""
        label = f"guidance, {steps} steps"
        found, seconds = side_by_side(
            stage, label, truths, ask, self.variants, steadiness, num_inference_steps=steps
        )
        means = {name: summed_up(found[name], seconds[name]) for name in found}
        for name, mine in means.items():
            figures = [Figure(measure, value, UNITS[measure]) for measure, value in mine.items()]
            if name == BASELINE:
                figures += [
                    Figure(f"{measure} of the autoencoder", value, UNITS[measure])
                    for measure, value in least.items()
                ]
            else:
                figures += self.changes(mine, means[BASELINE], least, name)
            counted = tuple(replace(figure, count=len(truths)) for figure in figures)
            slug = name.replace(" ", "_").replace(",", "")
            yield Result(f"{slug}_{steps}", f"Guidance: {name}, {steps} steps", counted)
        save_bars(
            {measure: {name: means[name][measure] for name in means} for measure in UNITS},
            stage.run.folder / f"guidance_{steps}_steps.png",
            title=f"Guidance at {steps} steps, {len(truths)} clips",
            baseline=BASELINE,
        )

    def changes(self, mine: Means, base: Means, least: Means, name: str) -> list[Figure]:
        """What a variant lost or won against the baseline."""
        lost = {measure: percent_lost(mine, base, measure) for measure in (*least, RANGE)}
        points, ratio = base["adherence"] - mine["adherence"], mine[SECONDS] / base[SECONDS]
        steadier = max(lost[measure] for measure in least)
        figures = [Figure(f"{measure} down", lost[measure], "%") for measure in least]
        for measure in least:
            # of what the baseline has more than true clips that the autoencoder rebuilt
            excess = base[measure] - least[measure]
            fallen = 100 * (base[measure] - mine[measure]) / excess if excess > 0 else math.nan
            figures.append(Figure(f"{measure} above the autoencoder's, down", fallen, "%"))
        bounds = [
            Figure("warp error or flicker down", steadier, "%", self.wanted_steadier),
            Figure("adherence lost", points, "points", self.wanted_adherence_lost, "lower"),
            Figure("motion range lost", lost[RANGE], "%", self.wanted_range_lost, "lower"),
            Figure("time over classifier-free", ratio, "", self.wanted_cost, "lower"),
        ]
        is_bound = self.variants[name].is_bound
        return figures + [bound if is_bound else replace(bound, wanted=None) for bound in bounds]


@dataclass(frozen=True, kw_only=True)
class GuidedSounds(Study):
    """How many true impacts have their ping, without guidance across the modalities and with it."""

    variants: Mapping[str, Variant]

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        label = "picture to sound, guided"
        found, seconds = side_by_side(
            stage, label, truths, given_video, self.variants, lambda made: made.reading.onsets
        )
        seen, every = [t.seen_impacts for t in truths], [t.impacts for t in truths]
        figures: list[Figure] = []
        for name, onsets in found.items():
            ratio = seconds[name] / seconds[BASELINE]
            figures += [
                recall(f"{name}: impacts with a ping within 62 ms", seen, onsets),
                clip_precision(f"{name}: no ping elsewhere", onsets, every),
                Figure(f"{name}: time over {BASELINE}", ratio, "", better="lower"),
            ]
        yield Result("guided_sounds", "Picture to sound by guidance", tuple(figures))


def side_by_side(
    stage: Stage,
    label: str,
    truths: Sequence[Truth],
    ask: Ask,
    variants: Mapping[str, Variant],
    measure: Callable[[Made], T],
    **settings: Any,
) -> tuple[dict[str, list[T]], dict[str, float]]:
    """What is measured of each clip, and seconds a clip, by name: the baseline, then the variants.

    settings: arguments of the pipeline.
    """
    guiders = {name: v.all_guiders() for name, v in {BASELINE: Variant(), **variants}.items()}
    found: dict[str, list[T]] = {name: [] for name in guiders}
    seconds = dict.fromkeys(guiders, 0.0)
    names = list(guiders)
    # what is loaded or compiled at the first call is so now, outside the times
    stage.make_batch(truths[:1], ask, guidance=guiders[BASELINE], **settings)
    for first, batch in stage.run.batches(label, truths):
        shift = first // stage.run.batch_size % len(names)  # none is always the first of its batch
        for name in names[shift:] + names[:shift]:
            began = time.perf_counter()
            clips = stage.make_batch(batch, ask, first=first, guidance=guiders[name], **settings)
            seconds[name] += (time.perf_counter() - began) / len(truths)
            found[name] += map(measure, read(batch, clips))
    return found, seconds


def steadiness(made: Made) -> tuple[Pair, Means]:
    """What was asked and read, and the measures of one clip; `RANGE` is in its widths."""
    values = {name: measure(made.frames) for name, measure in PIXELS.items()}
    if made.truth.event.motion != STILL:
        followed = track(made.frames)
        x, y = followed.x[followed.is_seen], followed.y[followed.is_seen]
        values[RANGE] = motion_range(x, y) / made.clip.shape[2]
    return made.pair, values


def summed_up(found: Sequence[tuple[Pair, Means]], seconds: float) -> Means:
    pairs = [pair for pair, _ in found]
    means = {
        name: mean([values[name] for _, values in found if name in values])
        for name in (*PIXELS, RANGE)
    }
    means["adherence"] = mean([figure.value for figure in attribute_figures(pairs)])
    means["sync, 90th percentile"] = impact_sync(pairs).value("90th percentile")
    means[SECONDS] = seconds
    return {name: means[name] for name in UNITS}


def percent_lost(mine: Means, base: Means, name: str) -> float:
    """Percent of the baseline's."""
    return 100 * (1 - mine[name] / base[name]) if base[name] else math.nan


def ask(truth: Truth) -> Asked:
    return Asked(truth.prompt)
