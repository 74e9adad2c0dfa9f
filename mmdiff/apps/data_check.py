"""mmdiff data-check: what training would make of every listed clip, before any training."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from mmdiff.apps.cli import run_verb
from mmdiff.apps.config import check_nodes, checked_call, save_resolved
from mmdiff.apps.next_step import after_data_check, show_next
from mmdiff.apps.schema import annotations
from mmdiff.apps.targets import allowed_for
from mmdiff.values.file_path import FilePath
from mmdiff.values.usage_error import UsageError


def main(words: Sequence[str]) -> int:
    return run_verb("data-check", partial(start, words=words), words, keys=annotations(data_check))


def start(config: dict[str, Any], *, words: Sequence[str] = ()) -> int:
    """Keep the configuration beside the report, check the clips.

    words: of the command line, for the command that comes next.
    """
    check_nodes(config, allowed=allowed_for(config))
    save_resolved(config, Path(config["output_dir"]))
    code: int = checked_call(data_check, config)
    if code == 0:
        show_next(after_data_check(words, config))
    return code


def data_check(
    *,
    data: Any,
    seed: int = 0,
    num_workers: int = 2,
    num_rows: int = 12,
    text_folder: FilePath | None = None,
    output_dir: FilePath = "outputs/data_check",
) -> int:
    """Decode and fit everything; 0 where training would go on, 1 where too much is dropped.

    Raises UsageError for data that are not files.
    """
    from mmdiff.apps.data_check_screen import show_report
    from mmdiff.data.check.check_clips import check_clips, with_cut_caption
    from mmdiff.data.check.estimate import estimated
    from mmdiff.data.check.report import ClipReport, DataReport
    from mmdiff.data.check.report_picture import save_picture
    from mmdiff.data.file_clips import FileClips
    from mmdiff.text.pretrained import saved_tokenizer, text_folders

    if num_workers < 0:
        raise UsageError(
            f"num_workers is {num_workers}; possible is 0 or more",
            hint="num_workers=0 checks in this process",
        )
    files = data.dataset
    if not isinstance(files, FileClips):
        raise UsageError(
            f"the data are {type(files).__name__}, which reads no files; there is nothing to check",
            hint="data=folder, data=pairs, data=shards",
        )
    clips = files.clips
    tokenizer = None if text_folder is None else saved_tokenizer(text_folders(text_folder)[0])
    rows: dict[int, ClipReport] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("checking clips", total=len(clips))
        for index, row in check_clips(clips, num_workers=num_workers):
            if tokenizer is not None and index < len(clips.entries):
                row = with_cut_caption(row, clips.entries[index].caption, tokenizer)
            rows[index] = row
            progress.advance(task)
    report = DataReport(tuple(rows[index] for index in sorted(rows)), files.max_bad_fraction)
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    written = [report.save(folder), folder / "report.png"]
    save_picture(report, clips.spec, written[1])
    estimate = estimated(
        report, clips.spec, batch_size=data.batch_size, num_workers=data.num_workers
    )
    console = Console(width=None if sys.stdout.isatty() else 100)
    show_report(console, report, estimate, num_rows=num_rows, files=written)
    return 0 if report.is_good else 1
