"""The screen of `mmdiff data-check`: some clips, all reasons with their hints, the costs."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from mmdiff.data.check.estimate import DataEstimate
from mmdiff.data.check.loudness import FLOOR
from mmdiff.data.check.report import ClipReport, DataReport, type_of
from mmdiff.values.usage_error import shortened

STYLES = {"kept": "green", "adapted": "blue", "dropped": "red"}
FIRST = ("dropped", "adapted", "kept")  # what a user has to see first
MOST_ADAPTATIONS = 16
MOST_CHARACTERS = 72


def show_report(
    console: Console,
    report: DataReport,
    estimate: DataEstimate,
    *,
    num_rows: int,
    files: Sequence[Path],
) -> None:
    """Print all of it, in an order that ends with the verdict."""
    if num_rows > 0 and report.rows:
        console.print(_clips(report, num_rows))
    if adaptations := report.adaptations():
        console.print(_adaptations(adaptations))
    if report.count("dropped"):
        console.print(_reasons(report))
    for line in (*_costs(estimate), *map(str, files), ""):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    style = "green" if report.is_good else "red"
    console.print(Text(verdict(report), style=style), soft_wrap=True)


def verdict(report: DataReport) -> str:
    """One line; the counts add up to what was listed."""
    counts = ", ".join(f"{report.count(status)} {status}" for status in STYLES)  # type: ignore[arg-type]
    allowed = f"max_bad_fraction={report.max_bad_fraction:g}"
    if not report.rows:
        return "no clips are listed: give files with captions under data.root"
    dropped = f"{report.bad_fraction:.2%} bad"
    if report.is_good:
        return f"{len(report.rows)} clips: {counts}; {dropped}, within {allowed}"
    hint = "take them off the list, repair them as said above, or raise data.max_bad_fraction"
    if not report.usable():
        hint = "none is left to train on"
    return f"{len(report.rows)} clips: {counts}; {dropped}, more than {allowed}: {hint}"


def _clips(report: DataReport, num_rows: int) -> Table:
    rows = sorted(report.rows, key=lambda row: FIRST.index(row.status))[:num_rows]
    table = Table(title=f"{len(rows)} of {len(report.rows)} clips", title_justify="left")
    table.add_column("file", overflow="ellipsis", no_wrap=True, max_width=24)
    table.add_column("status", no_wrap=True)
    for name in ("frames", "size", "fps", "audio"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("what", ratio=1)
    for row in rows:
        texts = [Text(shortened(cell, MOST_CHARACTERS)) for cell in _cells(row)]
        texts[1].stylize(STYLES[row.status])
        table.add_row(*texts)
    return table


def _cells(row: ClipReport) -> list[str]:
    """File, status, frames, size, rate, audio; why it is dropped, or what is done to it."""
    video = ["-", "-", "-"]
    if row.num_frames is not None:
        rate = "-" if row.frame_rate is None else f"{row.frame_rate:.4g}"
        video = [str(row.num_frames), f"{row.height} x {row.width}", rate]
    audio = "-"
    if row.audio_seconds is not None and row.loudness is not None:
        loud = "silence" if row.loudness <= FLOOR else f"{row.loudness:.0f} {row.loudness_unit}"
        audio = f"{row.audio_seconds:.3g} s, {loud}"
    done = (one if one[0].isdigit() else type_of(one) for one in row.adaptations)
    what = str(row.reason) if row.reason is not None else ", ".join(done)
    return [row.file, row.status, *video, audio, what]


def _adaptations(adaptations: Sequence[tuple[str, int]]) -> Table:
    table = Table(title="what is done to clips", title_justify="left")
    table.add_column("clips", justify="right")
    table.add_column("adaptation")
    for phrase, count in adaptations[:MOST_ADAPTATIONS]:
        table.add_row(str(count), Text(phrase))
    rest = adaptations[MOST_ADAPTATIONS:]
    if rest:
        table.add_row(str(sum(count for _, count in rest)), f"{len(rest)} others, in report.jsonl")
    return table


def _reasons(report: DataReport) -> Table:
    table = Table(title="what is dropped", title_justify="left")
    table.add_column("clips", justify="right")
    table.add_column("reason", no_wrap=True)
    table.add_column("hint, and one of them")
    for reason in report.reasons():
        text = Text(reason.reason.hint)
        text.append(f"\n{shortened(reason.example, 200)}", style="dim")
        table.add_row(str(reason.count), Text(str(reason.reason)), text)
    return table


def _costs(estimate: DataEstimate) -> list[str]:
    cache = f"not possible: {estimate.cache_problem}"
    if estimate.cache_bytes is not None:
        cache = f"{decimal(estimate.cache_bytes)} (computed)"
    lines = [
        f"latent cache    {cache}",
        f"loader memory   {decimal(estimate.loader_bytes)} at most, "
        f"{decimal(estimate.batch_bytes)} a batch (computed)",
    ]
    if estimate.batch_seconds is not None:
        seconds = f"{estimate.batch_seconds:.3g} s a batch"
        lines.append(f"loader speed    {seconds} (measured in this check)")
        lines.append(
            "                a training step takes that or more, except from a latent cache"
        )
    return lines
