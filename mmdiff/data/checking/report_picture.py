"""A report as a picture: histograms of length, size, rate and loudness, with what is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmdiff.data.checking.loudness import FLOOR
from mmdiff.data.checking.report import ClipReport, DataReport, Status
from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.media.atomic import atomic_write

COLORS: dict[Status, str] = {"kept": "#3a9a6b", "adapted": "#425bd6", "dropped": "#d6633f"}
NUM_BINS = 24


@dataclass(frozen=True)
class _Panel:
    """One histogram: what is counted, and the value that the spec asks for, if it does."""

    title: str
    label: str
    value: Callable[[ClipReport], float | None]
    wanted: float | None = None
    wanted_label: str = ""


def save_picture(report: DataReport, spec: ClipSpec, path: Path) -> None:
    """Write the PNG whole or not at all."""
    figure = Figure(figsize=(11, 7.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # by itself, so that no window and no global state are involved
    counts = ", ".join(f"{report.count(status)} {status}" for status in COLORS)
    figure.suptitle(f"{len(report.rows)} clips: {counts}")
    for place, panel in enumerate(_panels(spec), start=1):
        _draw(figure.add_subplot(2, 2, place), panel, report)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")


def _panels(spec: ClipSpec) -> tuple[_Panel, ...]:
    seconds, rate = float(spec.duration_seconds), float(spec.rate)
    return (
        _Panel("length", "seconds", lambda row: row.duration_seconds, seconds, f"{seconds:.3g} s"),
        _Panel("size", "pixels of the shorter side", _short_side, *_side(spec)),
        _Panel("frame rate", "frames a second", lambda row: row.frame_rate, rate, f"{rate:.4g}"),
        _Panel("loudness", f"LUFS or dBFS ({FLOOR:g}: silence)", lambda row: row.loudness),
    )


def _side(spec: ClipSpec) -> tuple[float, str]:
    side = min(spec.height, spec.width)
    return side, str(side)


def _short_side(row: ClipReport) -> float | None:
    return None if row.height is None or row.width is None else min(row.height, row.width)


def _draw(axes: Axes, panel: _Panel, report: DataReport) -> None:
    values: dict[Status, list[float]] = {status: [] for status in COLORS}
    for row in report.rows:
        if (value := panel.value(row)) is not None:
            values[row.status].append(value)
    every = [value for some in values.values() for value in some]
    without = len(report.rows) - len(every)
    axes.set_title(f"{panel.title} ({without} clips without)" if without else panel.title)
    axes.set_xlabel(panel.label)
    axes.set_ylabel("clips")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if not every:
        axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes)
        axes.set_xticks([])
        return
    wanted = [] if panel.wanted is None else [panel.wanted]
    low, high = min(every + wanted), max(every + wanted)
    is_wide = low > 0 and high / low > 20
    margin = 0.02 * (high - low) or 0.5
    if is_wide:
        axes.set_xscale("log")
        edges = np.geomspace(low / 1.05, high * 1.05, NUM_BINS + 1)
    else:
        edges = np.linspace(low - margin, high + margin, NUM_BINS + 1)
    shown = [status for status in COLORS if values[status]]
    axes.hist(
        [values[status] for status in shown],
        bins=edges.tolist(),
        stacked=True,
        color=[COLORS[status] for status in shown],
        label=shown,
    )
    if panel.wanted is not None:
        label = f"asked for: {panel.wanted_label}"
        axes.axvline(panel.wanted, color="#343842", linestyle="--", linewidth=1.5, label=label)
    axes.grid(axis="y", color="#dddfe7")
    axes.set_axisbelow(True)
    axes.legend(fontsize=8)
