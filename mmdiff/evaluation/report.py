"""Results as tables on the screen, and as JSON and markdown files written whole or not at all."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from mmdiff.evaluation.result import Figure, Result
from mmdiff.media.atomic import atomic_write

COLUMNS = ("figure", "value", "wanted", "met", "of")


@dataclass(frozen=True)
class Report:
    """All results of one evaluation, and what they were made with (settings, versions, times)."""

    results: tuple[Result, ...]
    settings: Mapping[str, object] = field(default_factory=dict)

    def tables(self) -> list[Table]:
        """One rich table a result, for the caller's console."""
        return [_table(result) for result in self.results]

    def to_dict(self) -> dict[str, object]:
        """Plain values. What is not measured, or infinite, is None: JSON has no such numbers."""
        return {
            "settings": dict(self.settings),
            "is_met": all(result.is_met for result in self.results),
            "results": {
                result.name: {figure.name: _plain(figure) for figure in result.figures}
                for result in self.results
            },
            "notes": {result.name: list(result.notes) for result in self.results if result.notes},
        }

    def to_markdown(self) -> str:
        parts = [_markdown(result) for result in self.results]
        if self.settings:
            parts.append("\n".join(f"- {name}: {value}" for name, value in self.settings.items()))
        return "\n\n".join(parts) + "\n"

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write evaluation.json and evaluation.md into `folder`; returns both paths."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False, default=str) + "\n"
        paths = folder / "evaluation.json", folder / "evaluation.md"
        for path, content in zip(paths, (text, self.to_markdown()), strict=True):
            with atomic_write(path) as temporary:
                temporary.write_text(content, encoding="utf-8")
        return paths


def _table(result: Result) -> Table:
    notes = "\n".join(result.notes)
    table = Table(title=result.title, title_justify="left", caption=notes, caption_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("figure", "met") else "right")
    for figure in result.figures:
        style = {True: "green", False: "red", None: None}[figure.is_met]
        table.add_row(*_cells(figure), style=style)
    return table


def _markdown(result: Result) -> str:
    rows = [COLUMNS, ("---", "---:", "---:", "---", "---:"), *map(_cells, result.figures)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"### {result.title}", "", *lines, *(f"\n{note}" for note in result.notes)])


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    sign = ">=" if figure.better == "higher" else "<="
    wanted = "" if figure.wanted is None else f"{sign} {figure.wanted:.4g} {figure.unit}".rstrip()
    met = {True: "yes", False: "no", None: ""}[figure.is_met]
    is_measured = not math.isnan(figure.value)
    value = f"{figure.value:.4g} {figure.unit}".rstrip() if is_measured else "not measured"
    return figure.name, value, wanted, met, "" if figure.count is None else str(figure.count)


def _plain(figure: Figure) -> dict[str, object]:
    return {
        "value": figure.value if math.isfinite(figure.value) else None,
        "unit": figure.unit,
        "wanted": figure.wanted,
        "is_met": figure.is_met,
        "count": figure.count,
    }
