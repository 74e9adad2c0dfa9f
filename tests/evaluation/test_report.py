import json
import math
from io import StringIO
from pathlib import Path

from rich.console import Console

from mmdiff.evaluation.report import Report
from mmdiff.evaluation.result import Figure, Result

RESULT = Result(
    name="sync",
    title="Sync",
    figures=(
        Figure("median", 12.345, "ms", 40.0, "lower", count=7),
        Figure("worst", math.inf, "ms"),
        Figure("unknown", math.nan, "%", 90.0),
    ),
)


def test_saved_files_hold_every_figure(tmp_path: Path) -> None:
    report = Report((RESULT,), {"seed": 0})
    json_path, markdown_path = report.save(tmp_path / "new")
    loaded = json.loads(json_path.read_text())
    assert loaded["settings"] == {"seed": 0}
    assert loaded["is_met"] is False
    assert loaded["results"]["sync"]["median"]["value"] == 12.345
    assert loaded["results"]["sync"]["worst"]["value"] is None
    text = markdown_path.read_text()
    assert "| median | 12.35 ms | <= 40 ms | yes | 7 |" in text
    assert "not measured" in text
    assert "- seed: 0" in text
    assert sorted(path.name for path in json_path.parent.iterdir()) == [
        "evaluation.json",
        "evaluation.md",
    ]


def test_tables_can_be_shown() -> None:
    console = Console(file=StringIO(), width=100)
    for table in Report((RESULT,)).tables():
        console.print(table)
    shown = console.file.getvalue()
    assert "median" in shown
    assert "12.35 ms" in shown
    assert "Sync" in shown
