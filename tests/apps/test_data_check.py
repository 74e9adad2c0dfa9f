"""`mmdiff data-check` as a user runs it: rows, verdict, exit code, files."""

import csv
import io
import json

import pytest
import torch
import yaml
from rich.console import Console

from mmdiff.__main__ import main
from mmdiff.apps.data_check_screen import show_report, verdict
from mmdiff.data.check.estimate import estimated
from mmdiff.data.check.report import ClipReport, DataReport
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.loading.folder import pipeline_folder
from mmdiff.media.clip import Clip
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.training.text_model import frozen_text_model
from tools.write_bounce import write_bounce


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three clips of the bounce world, a larger one, and a damaged one."""
    root = tmp_path_factory.mktemp("bounce")
    write_bounce(root, num_clips=3)
    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (40, 80, 64, 3), generator=draw).to(torch.uint8)
    Clip(frames, 16, torch.full((2, 44100 * 3), 0.1), 44100).save(root / "large.mp4")
    (root / "damaged.mp4").write_bytes((root / "large.mp4").read_bytes()[:2000])
    with (root / "metadata.csv").open("a", newline="") as file:
        csv.writer(file).writerows([("large.mp4", "noise"), ("damaged.mp4", "noise, cut off")])
    return root


def run(folder, output, *words):
    words = [f"data.root={folder}", "data.batch_size=2", f"output_dir={output}", *words]
    return main(["data-check", "data=folder", "num_workers=1", *words])


def test_what_is_dropped_is_told_and_decides_the_exit_code(folder, tmp_path, capsys):
    assert run(folder, tmp_path / "a") == 1
    shown = capsys.readouterr().out
    assert "5 clips: 3 kept, 1 adapted, 1 dropped; 20.00% bad" in shown
    assert "more than max_bad_fraction=0.01" in shown
    assert Reason.TRUNCATED.hint in shown or Reason.DAMAGED.hint in shown
    assert "cropped 80 x 64 -> 64 x 64" in shown
    assert "damaged.mp4" in shown.splitlines()[4], "what is dropped comes first"
    rows = [json.loads(line) for line in (tmp_path / "a/report.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == [
        *("00000.mp4", "00001.mp4", "00002.mp4", "large.mp4", "damaged.mp4"),
    ]
    assert [row["status"] for row in rows] == ["kept"] * 3 + ["adapted", "dropped"]
    assert rows[4]["reason"] in ("truncated", "damaged") and rows[4]["stage"] in ("open", "decode")
    assert (rows[3]["num_frames"], rows[3]["sample_rate"], rows[3]["channels"]) == (40, 44100, 2)
    assert (tmp_path / "a/report.png").is_file()
    resolved = yaml.safe_load((tmp_path / "a/resolved.yaml").read_text())
    assert resolved["data"]["root"] == str(folder)


def test_a_data_set_within_the_allowed_fraction_is_good(folder, tmp_path, capsys):
    assert run(folder, tmp_path / "b", "data.max_bad_fraction=0.2", "num_rows=0") == 0
    shown = capsys.readouterr().out
    assert "within max_bad_fraction=0.2" in shown
    assert "of 5 clips" not in shown, "num_rows=0 shows no clips"


def test_data_that_are_no_files_are_refused(tmp_path, capsys):
    words = ["data-check", "data=bounce_clips", f"output_dir={tmp_path}"]
    assert main(words) == 2
    assert "data=folder, data=pairs, data=shards" in capsys.readouterr().err


def test_a_folder_is_asked_for(tmp_path, capsys):
    assert main(["data-check", f"output_dir={tmp_path}"]) == 2
    shown = capsys.readouterr().err
    assert "data.root" in shown
    assert main(["data-check", f"data.root={tmp_path}/no", f"output_dir={tmp_path}"]) == 2
    assert f"{tmp_path}/no" in capsys.readouterr().err


def test_the_screen_is_one_screen_whatever_the_files_are_called():
    names = [
        "a\x1b[31mred\nline.mp4",
        "[bold]x[/bold].mp4",
        "long" * 60 + ".mp4",
        "ש.mp4",
        "😀.mp4",
    ]
    rows = [
        ClipReport.dropped(Rejection(name, Reason.DAMAGED, "decode", f"{name[:1]} is damaged"))
        for name in names * 400
    ]
    report = DataReport((*rows, ClipReport("good.mp4", "kept")))
    console = Console(file=io.StringIO(), width=100)
    estimate = estimated(report, ClipSpec(), batch_size=4, num_workers=2)
    show_report(console, report, estimate, num_rows=12, files=())
    shown = console.file.getvalue()
    assert len(shown.splitlines()) <= 40
    assert "\x1b" not in shown
    assert "[bold]x[/bold].mp4" in shown


def test_verdicts():
    kept = ClipReport("a", "kept")
    bad = ClipReport.dropped(Rejection("b", Reason.EMPTY, "open", "b is empty"))
    assert verdict(DataReport(())).startswith("no clips are listed")
    assert verdict(DataReport((bad,))).endswith("none is left to train on")
    assert verdict(DataReport((kept,))) == (
        "1 clips: 1 kept, 0 adapted, 0 dropped; 0.00% bad, within max_bad_fraction=0.01"
    )


def test_write_bounce_tells_a_folder_that_is_in_use(folder):
    with pytest.raises(FileExistsError, match="--overwrite"):
        write_bounce(folder, num_clips=3)


def test_captions_that_are_cut_are_counted(folder, tmp_path, capsys):
    """By the length that the text encoder keeps with its tokenizer; 512 of the bundled one."""
    root = tmp_path / "clips"
    root.mkdir()
    for index, caption in enumerate(("one two three", "one two three four", "red " * 600)):
        (root / f"{index}.mp4").write_bytes((folder / f"0000{index}.mp4").read_bytes())
        (root / f"{index}.txt").write_text(caption)
    assert run(root, tmp_path / "a", "data.batch_size=1") == 0
    shown = capsys.readouterr().out
    assert "2 kept, 1 adapted" in shown and "caption cut 601 -> 512 tokens" in shown

    text = frozen_text_model(str(pipeline_folder(None)), max_length=6)
    counts = [len(text.tokenizer(words).input_ids) for words in ("one two three", "red " * 600)]
    assert counts[0] > 6
    text.tokenizer.save_pretrained(tmp_path / "own/tokenizer")
    text.text_encoder.save_pretrained(tmp_path / "own/text_encoder")
    assert run(root, tmp_path / "b", f"text_folder={tmp_path / 'own'}") == 0
    shown = capsys.readouterr().out
    assert "3 adapted" in shown and "-> 6 tokens, and 2 like it" in shown
    assert run(root, tmp_path / "c", "text_folder=null") == 0
    assert "caption cut" not in capsys.readouterr().out
