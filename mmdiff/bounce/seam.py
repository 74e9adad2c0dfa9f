"""Seam: whether picture and sound go on where what was given meets what was made."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mmdiff.bounce.meeting import percent
from mmdiff.evaluation.result import Figure
from mmdiff.evaluation.sync import quantile

LEAST_STEP_PIXELS = 0.5
"""A centroid is read no finer than this: what stands still has no step to compare with."""

LEAST_STEP_SAMPLES = 1e-3
"""Of full scale: a step of -60 dB is no click, however quiet the sound around it."""

AROUND_SECONDS = 0.01
"""How much sound on each side of a seam tells its usual step: three periods of a low ping."""

WANTED_JUMP, WANTED_CLICK = 1.5, 3.0


def jump_ratio(x: Tensor, y: Tensor, *, seam: int) -> float:
    """The step of a centroid across the seam over the median of all its steps.

    `x`, `y` are in pixels, one a frame; the seam lies between the frames `seam - 1` and `seam`.
    """
    _check_seam(seam, len(x), "frames")
    steps = (x.diff().square() + y.diff().square()).sqrt()
    return float(steps[seam - 1] / steps.median().clamp(min=LEAST_STEP_PIXELS))


def click_ratio(waveform: Tensor, *, seam: int, sample_rate: int) -> float:
    """The step of `channels samples` across the seam over the median step around it.

    The seam lies between the samples `seam - 1` and `seam`.
    """
    _check_seam(seam, waveform.shape[-1], "samples")
    around = round(AROUND_SECONDS * sample_rate)
    piece = waveform.float().mean(0)[max(0, seam - 1 - around) : seam + 1 + around]
    steps = piece.diff().abs()
    across = steps[min(seam - 1, around)]
    return float(across / steps.median().clamp(min=LEAST_STEP_SAMPLES))


def ratio_figures(
    name: str, ratios: Sequence[float], *, wanted: float, others: Sequence[float] = ()
) -> tuple[Figure, ...]:
    """Median and 90th percentile of the ratios, and how many clips keep the bound.

    others: the ratios of true clips at the same seams, for what is possible.
    """
    kept = [ratio <= wanted for ratio in ratios]
    figures = [
        Figure(f"{name}, median", quantile(ratios, 0.5), "", wanted, "lower", len(ratios)),
        Figure(f"{name}, 90th percentile", quantile(ratios, 0.9), "", count=len(ratios)),
        Figure(f"{name} <= {wanted:g}", percent(kept), "% of clips", count=len(ratios)),
    ]
    if others:
        kept = [ratio <= wanted for ratio in others]
        label = f"{name} <= {wanted:g}, true clips"
        figures.append(Figure(label, percent(kept), "% of clips", count=len(others)))
    return tuple(figures)


def _check_seam(seam: int, length: int, unit: str) -> None:
    if not 1 <= seam < length:
        raise ValueError(f"seam is {seam}; in {length} {unit} it lies from 1 to {length - 1}")
