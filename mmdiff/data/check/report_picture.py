"""A report as a picture: histograms of length, size, rate and loudness, with what is asked for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmdiff.data.check.loudness import FLOOR
from mmdiff.data.check.report import ClipReport, DataReport, Status
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.media.atomic import atomic_write

COLORS: dict[Status, str] = {"kept": "#3a9a6b", "adapted": "#425bd6", "dropped": "#d6633f"}
NUM_BINS = 24


def save_picture(report: DataReport, spec: ClipSpec, path: Path) -> None:
    """Write the PNG whole or not at all."""
    figure = Figure(figsize=(11, 7.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # by itself, so that no window and no global state are involved
    counts = ", ".join(f"{report.count(status)} {status}" for status in COLORS)
    figure.suptitle(f"{len(report.rows)} clips: {counts}")
    side = min(spec.height, spec.width)
    # title, label, value of a row, what the spec asks for
    panels: tuple[tuple[str, str, Callable[[ClipReport], float | None], float | None], ...] = (
        ("length", "seconds", lambda row: row.duration_seconds, float(spec.duration_seconds)),
        ("size", "pixels of the shorter side", lambda row: row.short_side, side),
        ("frame rate", "frames a second", lambda row: row.frame_rate, float(spec.rate)),
        ("loudness", f"LUFS or dBFS ({FLOOR:g}: silence)", lambda row: row.loudness, None),
    )
    for number, (title, label, value_of, wanted) in enumerate(panels, start=1):
        axes = figure.add_subplot(2, 2, number)
        values: dict[Status, list[float]] = {status: [] for status in COLORS}
        for row in report.rows:
            if (value := value_of(row)) is not None:
                values[row.status].append(value)
        without = len(report.rows) - sum(map(len, values.values()))
        axes.set_title(f"{title} ({without} clips without)" if without else title)
        axes.set_xlabel(label)
        axes.set_ylabel("clips")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _draw(axes, values, wanted)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw(axes: Axes, values: dict[Status, list[float]], wanted: float | None) -> None:
    every = [value for some in values.values() for value in some]
    if not every:
        axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes)
        axes.set_xticks([])
        return
    if wanted is not None:
        every.append(wanted)
    low, high = min(every), max(every)
    if low > 0 and high / low > 20:
        axes.set_xscale("log")
        edges = np.geomspace(low / 1.05, high * 1.05, NUM_BINS + 1)
    else:
        margin = 0.02 * (high - low) or 0.5
        edges = np.linspace(low - margin, high + margin, NUM_BINS + 1)
    shown = [status for status in COLORS if values[status]]
    axes.hist(
        [values[status] for status in shown],
        bins=edges.tolist(),
        stacked=True,
        color=[COLORS[status] for status in shown],
        label=shown,
    )
    if wanted is not None:
        label = f"asked for: {wanted:.4g}"
        axes.axvline(wanted, color="#343842", linestyle="--", linewidth=1.5, label=label)
    axes.grid(axis="y", color="#dddfe7")
    axes.set_axisbelow(True)
    axes.legend(fontsize=8)
