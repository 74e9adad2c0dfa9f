"""Guided clips: text to clip with each variant of guidance, against classifier-free alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mmdiff.bounce.adherence import WANTED, adherence
from mmdiff.bounce.judge import Reading, judge
from mmdiff.bounce.studies.study import Asked, Stage, Study, mean
from mmdiff.bounce.studies.truth import SILENT, Truth
from mmdiff.bounce.studies.variant import BASELINE, Variant, gathered, side_by_side
from mmdiff.bounce.tracking import track
from mmdiff.evaluation.consistency import flicker, motion_range, warp_error
from mmdiff.evaluation.plot import save_bars
from mmdiff.evaluation.result import Figure, Result
from mmdiff.evaluation.sync import sync
from mmdiff.media.clip import Clip

SECONDS = "time a clip"


@dataclass(frozen=True)
class Measured:
    """What was read of one clip. `motion_range` is in widths of the clip."""

    reading: Reading
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
        least = floor(stage.rebuilt(truths))
        for share in self.step_shares:
            steps = max(1, round(share * stage.run.pipe.config.default_num_inference_steps))
            yield from self.at(stage, truths, steps=steps, least=least)

    def at(
        self, stage: Stage, truths: Sequence[Truth], *, steps: int, least: Mapping[str, float]
    ) -> Iterator[Result]:
        """The tables at one number of steps. `least`: what the autoencoder leaves of true clips."""
        batches = side_by_side(
            stage,
            truths,
            ask,
            variants=self.variants,
            settings={"num_inference_steps": steps},
            label=f"guidance, {steps} steps",
        )
        found, seconds = gathered(batches, measured)
        means = {name: summed_up(truths, found[name], seconds[name]) for name in found}
        variants = {BASELINE: Variant(), **self.variants}
        for name, variant in variants.items():
            mine, base = means[name], means[BASELINE]
            figures = self.figures(mine, base, variant, least=least, count=len(truths))
            slug = name.replace(" ", "_").replace(",", "")
            yield Result(f"{slug}_{steps}", f"Guidance: {name}, {steps} steps", figures)
        save_bars(
            {
                measure: {name: means[name][measure] for name in variants}
                for measure in means[BASELINE]
            },
            stage.run.folder / f"guidance_{steps}_steps.png",
            title=f"Guidance at {steps} steps, {len(truths)} clips",
            baseline=BASELINE,
        )

    def figures(
        self,
        mine: Mapping[str, float],
        base: Mapping[str, float],
        variant: Variant,
        *,
        least: Mapping[str, float],
        count: int,
    ) -> tuple[Figure, ...]:
        """The measures, and what they lost or won against the baseline."""
        rows = [Figure(name, value, UNITS[name], count=count) for name, value in mine.items()]
        if mine is base:
            for name, value in least.items():
                rows.append(Figure(f"{name} of the autoencoder", value, UNITS[name], count=count))
            return tuple(rows)
        warp, shimmer = (lost(mine, base, name) for name in ("warp error", "flicker"))
        points = base["adherence"] - mine["adherence"]
        bounds = {
            "warp error down": (warp, "%", None, "higher"),
            "flicker down": (shimmer, "%", None, "higher"),
            "warp error above the autoencoder's, down": (
                above(mine, base, least, "warp error"),
                "%",
                None,
                "higher",
            ),
            "flicker above the autoencoder's, down": (
                above(mine, base, least, "flicker"),
                "%",
                None,
                "higher",
            ),
            "warp error or flicker down": (max(warp, shimmer), "%", self.wanted_steadier, "higher"),
            "adherence lost": (points, "points", self.wanted_adherence_lost, "lower"),
            "motion range lost": (
                lost(mine, base, "motion range"),
                "%",
                self.wanted_range_lost,
                "lower",
            ),
            "time over classifier-free": (
                mine[SECONDS] / base[SECONDS],
                "",
                self.wanted_cost,
                "lower",
            ),
        }
        for name, (value, unit, wanted, better) in bounds.items():
            held = wanted if variant.is_bound else None
            rows.append(Figure(name, value, unit, held, better, count))  # type: ignore[arg-type]
        return tuple(rows)


UNITS = {
    "warp error": "of 255",
    "flicker": "of 255",
    "adherence": "%",
    "motion range": "widths",
    "sync, 90th percentile": "ms",
    SECONDS: "s",
}


def summed_up(
    truths: Sequence[Truth], found: Sequence[Measured], seconds: float
) -> dict[str, float]:
    """Means over the clips, under the names of `UNITS`."""
    readings = [one.reading for one in found]
    read = adherence([truth.event for truth in truths], readings, wanted={})
    moving = [
        one.motion_range
        for truth, one in zip(truths, found, strict=True)
        if truth.event.motion != "standing still"
    ]
    in_time = sync(readings, has_sound=[truth.event.sound != SILENT for truth in truths])
    values = (
        mean([one.warp_error for one in found]),
        mean([one.flicker for one in found]),
        mean([read.value(name) for name in WANTED]),
        mean(moving),
        in_time.value("90th percentile"),
        seconds,
    )
    return dict(zip(UNITS, values, strict=True))


def measured(truth: Truth, clip: Clip) -> Measured:
    """Read one clip."""
    assert clip.frames is not None
    moved = motion_range(track(clip.frames)) / clip.shape[2]
    return Measured(judge(clip), warp_error(clip.frames), flicker(clip.frames), moved)


def lost(mine: Mapping[str, float], base: Mapping[str, float], name: str) -> float:
    """Percent of the baseline's."""
    return 100 * (1 - mine[name] / base[name]) if base[name] else float("nan")


def above(
    mine: Mapping[str, float], base: Mapping[str, float], least: Mapping[str, float], name: str
) -> float:
    """Percent of what the baseline has more than true clips that the autoencoder rebuilt: the part
    that guidance can take away."""
    excess = base[name] - least[name]
    return 100 * (base[name] - mine[name]) / excess if excess > 0 else float("nan")


def floor(frames: Sequence[Tensor]) -> dict[str, float]:
    """Mean warp error and flicker."""
    return {
        "warp error": mean([warp_error(one) for one in frames]),
        "flicker": mean([flicker(one) for one in frames]),
    }


def ask(truth: Truth) -> Asked:
    return Asked(truth.prompt)
