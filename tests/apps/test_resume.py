"""Where a run goes on, and what may have changed since."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.__main__ import main
from mmdiff.apps import train
from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.resume import (
    changed_settings,
    find_checkpoint,
    is_of_the_model,
    log_resumed,
    run_lock,
    without_copies,
)
from mmdiff.training.checkpoint_folder import write_checkpoint
from mmdiff.values.usage_error import UsageError

TINY = ["experiment=bounce/diffusion", "backbone=tiny", "text=tiny"]


def _config(folder: Path, *overrides: str) -> dict[str, Any]:
    return resolved(composed("train", [*TINY, f"output_dir={folder}", *overrides]), "train")


def _save(folder: Path, step: int, config: dict[str, Any] | None = None) -> Path:
    path = folder / "checkpoints" / f"step_{step:08d}"
    state = {"global_step": step, "state_dict": {"weight": torch.zeros(3)}}
    write_checkpoint(state, path, configuration=config)
    return path


def test_c10_other_settings_of_the_model_are_refused_with_their_keys(tmp_path: Path) -> None:
    _save(tmp_path, 5, _config(tmp_path))
    for override, said in {
        "backbone.num_layers=3": "backbone.num_layers 2 -> 3",
        "text.d_model=48": "text.d_model 24 -> 48",
        "text.dataset.seed=2": "text.dataset.seed 1 -> 2",
        "optimizer=adamw": "optimizer.optimizer._target_ mmdiff.training.optimizers.MuonAdamW -> ",
    }.items():
        with pytest.raises(UsageError, match="is of another model") as error:
            find_checkpoint(_config(tmp_path, override))
        assert said in error.value.problem
        assert "output_dir" in error.value.hint


def test_c10_all_else_may_change_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _save(tmp_path, 5, _config(tmp_path))
    changes = ["optimizer.optimizer.lr=0.1", "max_steps=77", "trainer.log_every_n_steps=3"]
    config = _config(tmp_path, *changes, "callbacks.progress.every_n_steps=7")
    assert find_checkpoint(config) == path
    with caplog.at_level(logging.INFO, logger="mmdiff"):
        log_resumed(path, config)
    told = [record.getMessage().split(": ", 1)[1] for record in caplog.records[1:]]
    assert told == [
        "max_steps 1400 -> 77",
        "trainer.log_every_n_steps 20 -> 3",
        "callbacks.progress.every_n_steps 20 -> 7",
        "optimizer.lr_scheduler.total_steps 1400 -> 77",
        "optimizer.optimizer.lr 0.0015 -> 0.1",
    ]


def test_c10_nothing_is_told_where_nothing_changed_or_nothing_is_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, unknown = _save(tmp_path, 5, _config(tmp_path)), _save(tmp_path, 4)
    with caplog.at_level(logging.INFO, logger="mmdiff"):
        log_resumed(path, _config(tmp_path, "ckpt_path=last"))
        log_resumed(path, _config(tmp_path / "moved"))
        log_resumed(unknown, _config(tmp_path, "backbone.num_layers=3"))
    assert {record.getMessage().split()[0] for record in caplog.records} == {"resuming"}


def test_changes_are_symmetric_and_copies_are_told_once() -> None:
    old = {"a": {"x": 1, "y": [1, 2]}, "module": {"x": 1}, "b": None}
    new = {"a": {"x": 2, "y": [1, 2]}, "module": {"x": 2}, "b": {"c": 3}}
    there, back = changed_settings(old, new), changed_settings(new, old)
    assert [(c.key, c.old, c.new) for c in there] == [(c.key, c.new, c.old) for c in back]
    assert [str(change) for change in without_copies(there)] == [
        "b None -> (absent)",
        "a.x 1 -> 2",
        "b.c (absent) -> 3",
    ]
    assert not changed_settings(old, old)


def test_folders_of_first_weights_are_not_of_the_model() -> None:
    assert is_of_the_model("backbone") and is_of_the_model("critic.network.width")
    assert is_of_the_model("module.transformer.num_layers")
    assert not is_of_the_model("backbone.folder") and not is_of_the_model("critic.weight")


def test_resume_and_ckpt_path_mean_the_same(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert find_checkpoint(_config(run)) is None
    assert find_checkpoint(_config(run, "ckpt_path=last")) is None
    first, second = _save(run, 5), _save(run, 10)
    for word in ("resume=auto", "ckpt_path=last", f"resume={second}", f"ckpt_path={run}"):
        assert find_checkpoint(_config(run, word)) == second
    (second / "manifest.json").write_text("{}")
    assert find_checkpoint(_config(run)) == first
    with pytest.raises(ValueError, match="step_00000010"):
        find_checkpoint(_config(run, "strict_resume=true"))


def test_a_run_that_goes_back_needs_a_folder_of_its_own(tmp_path: Path) -> None:
    """What it saved would count as older than what lies there, and be deleted first."""
    run = tmp_path / "run"
    first, _ = _save(run, 5), _save(run, 10)
    for word in ("resume=null", f"resume={first}"):
        with pytest.raises(UsageError, match="step_00000010, which is newer"):
            find_checkpoint(_config(run, word))
        other = find_checkpoint(_config(tmp_path / "other", word))
        assert other == (first if "step" in word else None)


@pytest.mark.parametrize("path", ["nothing", "."])
def test_a_path_without_a_checkpoint_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(UsageError, match=r"resume=.* is no checkpoint"):
        find_checkpoint(_config(tmp_path / "run", f"resume={tmp_path / path}"))


@pytest.mark.parametrize(("most", "is_told"), [(4, True), (5, True), (6, False)])
def test_a_run_with_no_step_left_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, most: int, is_told: bool
) -> None:
    path = _save(tmp_path, 5)
    log_resumed(path, {"max_steps": most})
    said = f"nothing is left to train: {path} stands at step 5, and max_steps is {most}"
    assert (said in caplog.text) == is_told


def test_c5_strict_resume_ends_with_2_and_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _save(tmp_path, 5)
    (_save(tmp_path, 10) / "manifest.json").write_text('{"schema": 1, "files": []}')
    words = [*TINY, "data=bounce_clips", f"output_dir={tmp_path}", "strict_resume=true"]
    assert train.main(words) == 2
    screen = capsys.readouterr().err
    assert "step_00000010/manifest.json is damaged: it must hold schema, step and files" in screen
    assert "Traceback" not in screen and not (tmp_path / "resolved.yaml").exists()


def test_c5_a_run_whose_checkpoints_are_all_damaged_does_not_begin_again_in_silence(
    tmp_path: Path,
) -> None:
    for step in (5, 10):
        (_save(tmp_path, step) / "state.json").write_text("{}")
    with pytest.raises(UsageError, match=r"none of the 2 checkpoints in .* can be loaded") as error:
        find_checkpoint(_config(tmp_path))
    assert "another output_dir" in error.value.screen("train")


@pytest.mark.parametrize("left", ["checkpoints.json", "components"])
def test_a_run_whose_checkpoints_are_gone_does_not_begin_again_in_silence(
    tmp_path: Path, left: str
) -> None:
    (tmp_path / left).mkdir()
    with pytest.raises(UsageError, match=f"as {left} shows") as error:
        find_checkpoint(_config(tmp_path))
    assert "resume=null" in error.value.screen("train")
    assert find_checkpoint(_config(tmp_path, "resume=null")) is None


HOLDS = """
import os, sys, time
from pathlib import Path
from mmdiff.apps.resume import run_lock
with run_lock(Path(sys.argv[1])):
    if os.fork() == 0:
        time.sleep(60)  # as a loader's worker that outlives its parent for a while
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_p8_a_second_run_is_refused_and_told_which_process_is_there(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    with pytest.raises(UsageError, match=f"trained in by process {holder.pid}"), run_lock(tmp_path):
        raise AssertionError("two at once")


def test_p8_a_run_that_was_killed_holds_nothing(
    tmp_path: Path, holder: subprocess.Popen[bytes]
) -> None:
    holder.kill()
    holder.wait()
    with run_lock(tmp_path):
        pass
    with run_lock(tmp_path):  # nor does one that has ended
        pass


def test_p8_train_is_refused_before_anything_is_written(
    tmp_path: Path, holder: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "experiment=bounce/vocoder", f"output_dir={tmp_path}"]
    assert main(words) == 2
    assert f"process {holder.pid}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_p8_nothing_of_a_run_is_touched_before_its_lock_is_held(
    tmp_path: Path, holder: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    """What a second run would sweep is the save of the first that is being written."""
    saving = tmp_path / "checkpoints" / "step_00000010.tmp"
    saving.mkdir(parents=True)
    (saving / "weights.safetensors").write_bytes(b"half")
    words = ["train", "experiment=bounce/vocoder", f"output_dir={tmp_path}"]
    assert main(words) == 2
    assert (saving / "weights.safetensors").read_bytes() == b"half"
    assert f"process {holder.pid}" in capsys.readouterr().err
