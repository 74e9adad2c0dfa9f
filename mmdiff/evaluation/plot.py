"""Plots of figures as PNG files, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmdiff.media.atomic import atomic_write

COLORS = ("#425bd6", "#d6633f", "#3a9a6b", "#9a4fb8", "#b8902c", "#3b9db5", "#c24b79", "#6b7280")
STYLES = ("-", "--", ":")  # after all colors, the next curves go round again in the next style


def save_curves(
    curves: Mapping[str, Mapping[float, float]],
    path: Path,
    *,
    x_label: str,
    y_label: str,
    title: str,
    is_logarithmic: bool = False,
) -> None:
    """All curves on one pair of axes: curves[name][x] -> y; `is_logarithmic` is about x."""
    figure = _figure()
    axes = figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label)
    for index, (name, values) in enumerate(curves.items()):
        style = STYLES[index // len(COLORS) % len(STYLES)]
        color = COLORS[index % len(COLORS)]
        x, y = list(values), list(values.values())
        axes.plot(x, y, style, color=color, marker="o", markersize=4, label=name)
    if is_logarithmic:
        axes.set_xscale("log")
        ticks = sorted({x for values in curves.values() for x in values})
        axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axes.minorticks_off()
    axes.grid(color="#dddfe7")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    _save(figure, path)


def save_bars(
    panels: Mapping[str, Mapping[str, float]], path: Path, *, title: str, baseline: str = ""
) -> None:
    """One panel of bars for each measure: panels[measure][name] -> value.

    The value of `baseline` is drawn through its panel as a line.
    """
    figure = _figure(width=2.0 + 3.0 * len(panels))
    figure.suptitle(title)
    for index, (measure, values) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), index + 1, title=measure)
        rows = range(len(values))
        colors = [COLORS[-1] if name == baseline else COLORS[0] for name in values]
        axes.barh(rows, list(values.values()), color=colors)
        axes.set_yticks(rows, list(values) if index == 0 else [""] * len(values))
        axes.invert_yaxis()
        axes.grid(axis="x", color="#dddfe7")
        axes.set_axisbelow(True)
        if baseline in values:
            axes.axvline(values[baseline], color="#343842", linewidth=1)
    _save(figure, path)


def _figure(*, width: float = 9.0) -> Figure:
    figure = Figure(figsize=(width, 5.0), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)  # by itself, so that no window and no global state are involved
    return figure


def _save(figure: Figure, path: Path) -> None:
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")
