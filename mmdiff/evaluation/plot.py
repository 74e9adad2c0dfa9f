"""Plots of figures as PNG files, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from mmdiff.media.atomic import atomic_write

COLORS = ("#425bd6", "#d6633f", "#3a9a6b", "#9a4fb8", "#b8902c", "#3b9db5", "#c24b79", "#6b7280")
STYLES = ("-", "--", ":")
"""After all colors, the next curves go round again in the next style."""


@dataclass(frozen=True)
class Curve:
    """Values over positions, under a name."""

    name: str
    x: Sequence[float]
    y: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"curve {self.name} has {len(self.x)} x and {len(self.y)} y")


def save_curves(
    curves: Sequence[Curve],
    path: Path,
    *,
    x_label: str,
    y_label: str,
    title: str,
    is_logarithmic: bool = False,
) -> None:
    """All curves on one pair of axes; `is_logarithmic` is about x."""
    canvas = _canvas()
    axes = canvas.add_subplot(title=title, xlabel=x_label, ylabel=y_label)
    for index, curve in enumerate(curves):
        style = STYLES[index // len(COLORS) % len(STYLES)]
        color = COLORS[index % len(COLORS)]
        axes.plot(curve.x, curve.y, style, color=color, marker="o", markersize=4, label=curve.name)
    if is_logarithmic:
        axes.set_xscale("log")
        ticks = sorted({x for curve in curves for x in curve.x})
        axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axes.minorticks_off()
    axes.grid(color="#dddfe7")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    _save(canvas, path)


def save_bars(
    panels: Mapping[str, Mapping[str, float]], path: Path, *, title: str, baseline: str = ""
) -> None:
    """One panel of bars for each measure: panels[measure][name] -> value.

    The value of `baseline` is drawn through its panel as a line.
    """
    canvas = _canvas(width=2.0 + 3.0 * len(panels))
    canvas.suptitle(title)
    every = list(panels.items())
    for index, (measure, values) in enumerate(every):
        axes = canvas.add_subplot(1, len(every), index + 1, title=measure)
        places = range(len(values))
        colors = [COLORS[-1] if name == baseline else COLORS[0] for name in values]
        axes.barh(places, list(values.values()), color=colors)
        axes.set_yticks(places, list(values) if index == 0 else [""] * len(values))
        axes.invert_yaxis()
        axes.grid(axis="x", color="#dddfe7")
        axes.set_axisbelow(True)
        if baseline in values:
            axes.axvline(values[baseline], color="#343842", linewidth=1)
    _save(canvas, path)


def _canvas(*, width: float = 9.0) -> Canvas:
    canvas = Canvas(figsize=(width, 5.0), dpi=110, layout="constrained")
    FigureCanvasAgg(canvas)  # by itself, so that no window and no global state are involved
    return canvas


def _save(canvas: Canvas, path: Path) -> None:
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path} is no name for a plot; it is a PNG: {path.stem}.png")
    with atomic_write(path) as temporary:
        canvas.savefig(temporary, format="png")
