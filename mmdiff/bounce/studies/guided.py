"""What each variant of guidance brings and costs: from text to clip, and from video to sound."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mmdiff.bounce.adherence import Pair, attribute_figures
from mmdiff.bounce.bounce import SILENT, STILL
from mmdiff.bounce.studies.cross_modal import given_video
from mmdiff.bounce.studies.study import Stage, Study
from mmdiff.bounce.studies.truth import Asked, Made, Truth
from mmdiff.bounce.studies.variants import BASELINE, Measured, Variant, side_by_side
from mmdiff.bounce.tracking import track
from mmdiff.evaluation.consistency import flicker, motion_range, warp_error
from mmdiff.evaluation.plot import save_bars
from mmdiff.evaluation.result import Figure, Result, mean
from mmdiff.evaluation.sync import clip_precision, recall, sync

WARP, FLICKER, RANGE = "warp error", "flicker", "motion range"
SECONDS = "time a clip"
UNITS = {
    WARP: "of 255",
    FLICKER: "of 255",
    "adherence": "%",
    RANGE: "widths",
    "sync, 90th percentile": "ms",
    SECONDS: "s",
}
Means = Mapping[str, float]
"""Over the clips, under the names of `UNITS`."""


@dataclass(frozen=True)
class Steadiness:
    """Of one clip. `motion_range` is in widths of the clip."""

    pair: Pair
    warp_error: float
    flicker: float
    motion_range: float


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
        least = {
            WARP: mean([warp_error(frames) for frames in rebuilt]),
            FLICKER: mean([flicker(frames) for frames in rebuilt]),
        }
        for share in self.step_shares:
            steps = max(1, round(share * stage.run.pipe.config.default_num_inference_steps))
            yield from self.at(steps, stage, truths, least)

    def at(
        self, steps: int, stage: Stage, truths: Sequence[Truth], least: Means
    ) -> Iterator[Result]:
        """The tables at one number of steps."""
        label = f"guidance, {steps} steps"
        found = side_by_side(
            stage, label, truths, ask, self.variants, steadiness, num_inference_steps=steps
        )
        means = {name: summed_up(measured) for name, measured in found.items()}
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
        down = [percent_lost(mine, base, measure) for measure in least]
        bounds = (
            Figure("warp error or flicker down", max(down), "%", self.wanted_steadier),
            Figure(
                "adherence lost",
                base["adherence"] - mine["adherence"],
                "points",
                self.wanted_adherence_lost,
                "lower",
            ),
            Figure(
                "motion range lost",
                percent_lost(mine, base, RANGE),
                "%",
                self.wanted_range_lost,
                "lower",
            ),
            Figure(
                "time over classifier-free",
                mine[SECONDS] / base[SECONDS],
                "",
                self.wanted_cost,
                "lower",
            ),
        )
        is_bound = self.variants[name].is_bound
        return [
            *(
                Figure(f"{measure} down", lost, "%")
                for measure, lost in zip(least, down, strict=True)
            ),
            *(
                Figure(
                    f"{measure} above the autoencoder's, down",
                    percent_of_excess_lost(mine, base, least, measure),
                    "%",
                )
                for measure in least
            ),
            *(bound if is_bound else replace(bound, wanted=None) for bound in bounds),
        ]


@dataclass(frozen=True, kw_only=True)
class GuidedSounds(Study):
    """How many true impacts have their ping, without guidance across the modalities and with it."""

    variants: Mapping[str, Variant]

    def results(self, stage: Stage) -> Iterator[Result]:
        truths = stage.truths(is_sounding=True)
        label = "picture to sound, guided"
        found = side_by_side(stage, label, truths, given_video, self.variants, onsets)
        seen, every = [t.seen_impacts for t in truths], [t.impacts for t in truths]
        figures: list[Figure] = []
        for name, measured in found.items():
            ratio = measured.seconds_a_clip / found[BASELINE].seconds_a_clip
            figures += [
                recall(f"{name}: impacts with a ping within 62 ms", seen, measured.of_each),
                clip_precision(f"{name}: no ping elsewhere", measured.of_each, every),
                Figure(f"{name}: time over {BASELINE}", ratio, "", better="lower"),
            ]
        yield Result("guided_sounds", "Picture to sound by guidance", tuple(figures))


def summed_up(measured: Measured[Steadiness]) -> Means:
    """Means over the clips, under the names of `UNITS`."""
    found = measured.of_each
    pairs = [one.pair for one in found]
    in_time = sync(
        [reading.impacts for _, reading in pairs],
        [reading.onsets for _, reading in pairs],
        has_sound=[event.sound != SILENT for event, _ in pairs],
    )
    values = (
        mean([one.warp_error for one in found]),
        mean([one.flicker for one in found]),
        mean([figure.value for figure in attribute_figures(pairs)]),
        mean([one.motion_range for one in found if one.pair[0].motion != STILL]),
        in_time.value("90th percentile"),
        measured.seconds_a_clip,
    )
    return dict(zip(UNITS, values, strict=True))


def steadiness(made: Made) -> Steadiness:
    followed = track(made.frames)
    seen = followed.is_seen
    moved = motion_range(followed.x[seen], followed.y[seen]) / made.clip.shape[2]
    return Steadiness(made.pair, warp_error(made.frames), flicker(made.frames), moved)


def onsets(made: Made) -> tuple[float, ...]:
    return made.reading.onsets


def percent_lost(mine: Means, base: Means, name: str) -> float:
    """Percent of the baseline's."""
    return 100 * (1 - mine[name] / base[name]) if base[name] else float("nan")


def percent_of_excess_lost(mine: Means, base: Means, least: Means, name: str) -> float:
    """Percent of what the baseline has more than true clips that the autoencoder rebuilt: the part
    that guidance can take away."""
    excess = base[name] - least[name]
    return 100 * (base[name] - mine[name]) / excess if excess > 0 else float("nan")


def ask(truth: Truth) -> Asked:
    return Asked(truth.prompt)
