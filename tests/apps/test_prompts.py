"""Prompts from a file: lines of text, and tables whose rows say more of their clip."""

import json

import pytest

from mmdiff.apps import generate
from mmdiff.apps.clip_jobs import clip_jobs
from mmdiff.apps.prompts import columns_of_prompts, prompt_rows
from mmdiff.apps.schema import annotations
from mmdiff.values.usage_error import UsageError

COLUMNS = columns_of_prompts(annotations(generate.generate))


def rows_of(path):
    return prompt_rows(None, str(path), columns=COLUMNS)


def test_a_line_of_a_text_file_ends_at_lf_or_crlf_only(tmp_path):
    lines = [
        "a\u2028b",
        "c\x0bd",
        "third \x85 one",
        "four\x0cth",
        "five\x1c",
        "a\rb",
        "# no #1 ball",
    ]
    path = tmp_path / "prompts.txt"
    path.write_bytes("\r\n".join(lines).encode() + b"\n# a comment\n\n  \nlast")
    texts = [row["prompt"] for row in rows_of(path)]
    assert texts == [*(line.strip() for line in lines[:-1]), "last"]


def test_a_row_of_a_table_says_what_is_its_own(tmp_path):
    table = 'prompt,seed,num_frames,guidance_scale,negative_prompt\n"a, ""b""",7,17,2.5,\nc,,,,no\n'
    (tmp_path / "p.csv").write_text(table, encoding="utf-8-sig")
    of_csv = rows_of(tmp_path / "p.csv")
    assert of_csv == [
        {"prompt": 'a, "b"', "seed": 7, "num_frames": 17, "guidance_scale": 2.5},
        {"prompt": "c", "negative_prompt": "no"},
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(json.dumps(row) for row in of_csv) + "\n\n")
    assert rows_of(tmp_path / "p.jsonl") == of_csv


def test_seeds_go_on_where_no_row_has_its_own():
    rows = [{"prompt": "a"}, {"prompt": "b", "seed": 40, "num_clips": 2}, {"prompt": "c"}]
    jobs = clip_jobs(rows, {"width": 8}, seed=5, num_clips=1)
    assert [(job.prompt, job.seed) for job in jobs] == [("a", 5), ("b", 40), ("b", 41), ("c", 8)]
    assert all(job.settings == {"width": 8} for job in jobs)


def test_every_scalar_argument_about_one_clip_is_a_column():
    assert {"prompt", "negative_prompt", "seed", "num_frames", "image", "output"} <= set(COLUMNS)
    assert not {"prompts", "checkpoint", "device", "batch_size", "output_dir"} & set(COLUMNS)
    assert not {"modalities", "conditions", "paths", "overwrite"} & set(COLUMNS)


@pytest.mark.parametrize(
    "text, told",
    [
        ("prompt,sed\na,1\n", "has a column 'sed'; possible"),
        ("seed\n1\n", "has no column 'prompt'"),
        ("prompt,prompt\na,b\n", "names a column twice"),
        ("prompt,seed\na,1.5\n", "p.csv line 2: seed is 1.5; possible is a whole number"),
        ("prompt,seed\na,b,c\n", "line 2 has 3 cells instead of 2"),
        ("prompt\n", "holds no prompt"),
    ],
)
def test_a_table_that_cannot_be_meant_is_one_screen(text, told, tmp_path, capsys):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UsageError, match=told):
        rows_of(tmp_path / "p.csv")
    assert generate.main([f"prompts={tmp_path / 'p.csv'}"]) == 2
    screen = capsys.readouterr().err
    assert told in screen.replace("\n", "") and len(screen.splitlines()) < 8


def test_clips_by_a_table_are_those_by_the_command_line(tmp_path):
    """Two settings, three rows: each clip is the one that a command of its own makes."""
    (tmp_path / "p.jsonl").write_text(
        '{"prompt": "a red circle", "seed": 3, "num_frames": 5}\n'
        '{"prompt": "a blue square", "num_frames": 5, "output": "%s"}\n'
        '{"prompt": "a still", "num_frames": 1}\n' % (tmp_path / "own.mp4")
    )
    words = ["num_inference_steps=1", "height=32", "width=32", "seed=10", "batch_size=1"]
    folder, alone = tmp_path / "all", tmp_path / "alone.mp4"
    assert generate.main([f"prompts={tmp_path / 'p.jsonl'}", *words, f"output_dir={folder}"]) == 0
    made = sorted(path.name for path in folder.iterdir() if path.suffix in (".mp4", ".png"))
    assert "000-a-red-circle.mp4" in made and "002-a-still.png" in made
    again = ["prompt=a blue square", "num_frames=5", *words, "seed=11", f"output={alone}"]
    assert generate.main(again) == 0
    ours = json.loads((tmp_path / "own.json").read_text())
    assert ours["seed"] == 11
    assert (tmp_path / "own.mp4").read_bytes() == alone.read_bytes()
