"""Where a run goes on, and what may have changed since."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.apps import train
from mmdiff.apps.changed_settings import changed_settings, is_of_the_model, without_copies
from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.resume import find_checkpoint, tell_changes, tell_nothing_left
from mmdiff.apps.run import run_verb
from mmdiff.data.worker_status import ReadingFailed
from mmdiff.distributed.strategies import RanksDisagree
from mmdiff.training.callbacks.finite_guard import NonFinite
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
        assert "output_dir" in error.value.cure


def test_c10_all_else_may_change_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = _save(tmp_path, 5, _config(tmp_path))
    changes = ["optimizer.optimizer.lr=0.1", "max_steps=77", "trainer.log_every_n_steps=3"]
    config = _config(tmp_path, *changes, "callbacks.progress.every_n_steps=7")
    assert find_checkpoint(config) == path
    with caplog.at_level(logging.INFO, logger="mmdiff"):
        tell_changes(path, config)
    told = [record.getMessage().split(": ", 1)[1] for record in caplog.records]
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
        tell_changes(path, _config(tmp_path, "ckpt_path=last"))
        tell_changes(path, _config(tmp_path / "moved"))
        tell_changes(unknown, _config(tmp_path, "backbone.num_layers=3"))
    assert not caplog.records


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
    with pytest.raises(UsageError, match="is no checkpoint") as error:
        find_checkpoint(_config(tmp_path / "run", f"resume={tmp_path / path}"))
    assert error.value.key == "resume"


@pytest.mark.parametrize(("most", "is_told"), [(4, True), (5, True), (6, False)])
def test_a_run_with_no_step_left_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, most: int, is_told: bool
) -> None:
    path = _save(tmp_path, 5)
    tell_nothing_left(path, {"max_steps": most})
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


@pytest.mark.parametrize("error", [NonFinite, ReadingFailed, RanksDisagree])
def test_errors_of_a_run_take_one_screen(
    error: type[Exception], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not ValueErrors: nothing was asked for wrongly."""

    def action(config: dict[str, Any]) -> int:
        raise error("step 3: rank 1 says why")

    assert run_verb("train", action, [*TINY, f"output_dir={tmp_path}"]) == 1
    screen = capsys.readouterr().err
    assert screen.startswith("mmdiff train: step 3: rank 1 says why")
    assert "Traceback" not in screen
