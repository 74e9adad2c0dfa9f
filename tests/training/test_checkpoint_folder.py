"""A folder is there whole or not at all, whatever happens while it is written or deleted."""

import errno
import json
import logging
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.training.checkpoint_folder import (
    CheckpointNotSaved,
    DamagedCheckpoint,
    checkpoints_in,
    latest_checkpoint,
    read_checkpoint,
    read_configuration,
    retain,
    sweep,
    verify_checkpoint,
    write_checkpoint,
)
from mmdiff.training.manifest import FileFacts, Manifest, step_of
from tests.training.forked import exit_code, fork

POINTS = ("write", "written", "flush", "manifest", "publish", "replace", "published")


def _state(step: int, size: int = 500) -> dict[str, Any]:
    return {
        "global_step": step,
        "state_dict": {"weight": torch.full((size,), float(step))},
        "optimizer_states": [{"momentum": torch.full((size,), float(-step))}],
    }


def _write(folder: Path, step: int, **changed: int) -> None:
    write_checkpoint(_state(step, **changed), folder / f"step_{step:08d}")


def _step(folder: Path) -> int:
    """Of the newest checkpoint, which must hold the numbers of its step; after what a start does
    first."""
    sweep(folder)
    newest = latest_checkpoint(folder, strict=True)
    assert newest is not None
    content = read_checkpoint(newest)
    assert (content["state_dict"]["weight"] == content["global_step"]).all()
    return int(content["global_step"])


def _resealed(folder: Path) -> None:
    """A manifest of what is there, as somebody writes it who finds the digests in the way."""
    names = [path for path in folder.iterdir() if path.name != "manifest.json"]
    files = {path.name: FileFacts.of(path) for path in names}
    (folder / "manifest.json").write_text(Manifest(step_of(folder) or 0, files).text)


@pytest.mark.parametrize("part", ["weights", "optimizer", "state_dict", "optimizer_states"])
def test_c5_a_resealed_checkpoint_without_a_part_is_stepped_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    for step in (10, 20):
        state = {**_state(step), "pytorch-lightning_version": "2", "lr_schedulers": [], "loops": {}}
        write_checkpoint(state, tmp_path / f"step_{step:08d}")
    newest = tmp_path / "step_00000020"
    if part in ("weights", "optimizer"):
        (newest / f"{part}.safetensors").unlink()
    else:
        document = json.loads((newest / "state.json").read_text())
        del document[part]
        (newest / "state.json").write_text(json.dumps(document))
    _resealed(newest)
    assert latest_checkpoint(tmp_path) == tmp_path / "step_00000010"
    assert f"{newest} lacks" in caplog.text


def _refused(folder: Path) -> None:
    """Write step 2 where the disk refuses, and check what is said."""
    with pytest.raises(CheckpointNotSaved) as error:
        _write(folder, 2)
    said = str(error.value)
    assert str(folder / "step_00000002") in said and "earlier checkpoints are untouched" in said
    needed = int(said.split("it needs ")[1].split(" bytes")[0].replace(",", ""))
    assert 4000 <= needed <= 5000


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("is_there", [False, True])
def test_c1_killed_at_each_point_of_a_save(tmp_path: Path, point: str, is_there: bool) -> None:
    """Also where a folder of the same step is replaced."""
    _write(tmp_path, 1)
    if is_there:
        _write(tmp_path, 2)
    for hit in (1, 2, 3):
        plan = f"kill checkpoint.{point} step=2 hit={hit}"
        if exit_code(fork(lambda: _write(tmp_path, 2), faults=plan)) == 0:
            assert hit > 1  # no third passage
            break
        is_new = is_there or point == "published"
        assert _step(tmp_path) == (2 if is_new else 1)
        assert [path.suffix for path in tmp_path.iterdir()] == [""] * len(list(tmp_path.iterdir()))
    _write(tmp_path, 3)
    assert _step(tmp_path) == 3


@pytest.mark.parametrize("point", POINTS[:-1])
def test_c6_a_full_disk_at_each_point(
    tmp_path: Path, point: str, faults: Callable[[str], None]
) -> None:
    _write(tmp_path, 1)
    for hit in (1, 2, 3) if point in ("write", "written", "flush") else (1,):
        faults(f"enospc checkpoint.{point} step=2 hit={hit}")
        _refused(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]
    faults("")
    _write(tmp_path, 2)
    assert _step(tmp_path) == 2 and len(list(tmp_path.iterdir())) == 2


def test_c6_a_full_disk_while_a_folder_is_replaced(
    tmp_path: Path, faults: Callable[[str], None]
) -> None:
    _write(tmp_path, 2)
    faults("enospc checkpoint.replace")
    _refused(tmp_path)
    faults("")
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000002"]
    assert _step(tmp_path) == 2


def test_c6_files_may_not_grow_at_ten_cut_points(tmp_path: Path) -> None:
    """The kernel refuses in the middle of a file, as a full disk does."""
    _write(tmp_path, 1)
    largest = max(path.stat().st_size for path in (tmp_path / "step_00000001").iterdir())

    def limited(num_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))
        _refused(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]

    for cut in range(10):
        size = cut * (largest - 1) // 9
        assert exit_code(fork(lambda size=size: limited(size))) == 0
    assert _step(tmp_path) == 1


@pytest.mark.parametrize("action", ["eio", "enospc"])
def test_an_error_number_is_reported_as_what_it_is(
    tmp_path: Path, faults: Callable[[str], None], action: str
) -> None:
    faults(f"{action} checkpoint.flush")
    with pytest.raises(CheckpointNotSaved) as error:
        _write(tmp_path, 2)
    said = str(error.value)
    assert os.strerror(getattr(errno, action.upper())).lower() in said
    assert ("make room" in said) == ("bytes" in said) == (action == "enospc")


@pytest.mark.parametrize("point", ["write", "manifest", "replace"])
def test_a_stale_file_handle_is_tried_again(
    tmp_path: Path, faults: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setattr("mmdiff.media.atomic.STALE_PAUSES", (0, 0))
    _write(tmp_path, 2)
    faults(f"estale checkpoint.{point} hit=1")
    _write(tmp_path, 2)
    assert _step(tmp_path) == 2
    faults(f"estale checkpoint.{point}")
    with pytest.raises(CheckpointNotSaved, match=os.strerror(errno.ESTALE).lower()):
        _write(tmp_path, 3)
    assert _step(tmp_path) == 2


def test_an_error_that_no_disk_made_keeps_its_type(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="callbacks"):
        write_checkpoint({"callbacks": object()}, tmp_path / "step_00000001")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("point", ["delete", "deleting"])
@pytest.mark.parametrize("hit", [1, 2])
def test_c7_killed_while_deleting(tmp_path: Path, point: str, hit: int) -> None:
    for step in (1, 2, 3, 4):
        _write(tmp_path, step)
    plan = f"kill checkpoint.{point} hit={hit}"
    assert exit_code(fork(lambda: retain(tmp_path, 2), faults=plan)) == -9
    assert _step(tmp_path) == 4
    assert len(checkpoints_in(tmp_path)) >= 2
    for path in checkpoints_in(tmp_path):
        assert verify_checkpoint(path)
    retain(tmp_path, 2)
    assert [path.name[-1] for path in checkpoints_in(tmp_path)] == ["4", "3"]


def test_c7_damaged_checkpoints_do_not_count_as_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that went back behind two damaged ones: what it saves stays, and what it goes past is
    deleted. Each is read once."""
    verified: list[str] = []

    def counted(folder: Path) -> object:
        verified.append(folder.name[-2:])
        return verify_checkpoint(folder)

    monkeypatch.setattr("mmdiff.training.checkpoint_folder.verify_checkpoint", counted)
    for step in (5, 10, 20, 30):
        _write(tmp_path, step)
    for step in (20, 30):
        (tmp_path / f"step_{step:08d}" / "weights.safetensors").write_bytes(b"x")
    left = {
        15: (30, 20, 15, 10),
        20: (30, 20, 15),
        25: (30, 25, 20),
        35: (35, 30, 25),
        36: (36, 35),
    }
    verdicts: dict[Path, bool] = {}
    for step, steps in left.items():
        _write(tmp_path, step)
        verdicts[tmp_path / f"step_{step:08d}"] = True
        retain(tmp_path, 2, verdicts=verdicts)
        assert [path.name for path in checkpoints_in(tmp_path)] == [f"step_{s:08d}" for s in steps]
        assert verdicts.keys() == set(checkpoints_in(tmp_path))
    assert verified == ["30", "20", "10"]


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
@pytest.mark.parametrize("damaged", [(), (4,), (3, 4), (1, 3), (2, 3, 4), (1, 2, 3, 4)])
def test_c7_never_fewer_than_one_that_loads(
    tmp_path: Path, keep: int, damaged: tuple[int, ...]
) -> None:
    for step in (1, 2, 3, 4):
        _write(tmp_path, step)
    for step in damaged:
        (tmp_path / f"step_{step:08d}" / "manifest.json").unlink()
    before = latest_checkpoint(tmp_path)
    retain(tmp_path, keep)
    assert latest_checkpoint(tmp_path) == before
    is_valid = [step for step in (1, 2, 3, 4) if step not in damaged]
    stay = [int(path.name[-1]) for path in checkpoints_in(tmp_path)]
    assert [step for step in stay if step in is_valid] == is_valid[::-1][: max(keep, 1)]


def test_c7_the_newest_is_the_one_of_the_highest_number(tmp_path: Path) -> None:
    """Names have eight digits, and numbers of steps may have more."""
    for step in (99_999_999, 100_000_000, 100_000_001):
        _write(tmp_path, step)
    for name in ("step_7.tmp", "step_x1", "step_1_of_2"):
        (tmp_path / name).mkdir()
    assert _step(tmp_path) == 100_000_001
    retain(tmp_path, 2)
    names = [path.name for path in checkpoints_in(tmp_path)]
    assert names == ["step_100000001", "step_100000000"]


def test_c5_any_flipped_bit_of_a_manifest_is_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (10, 20):
        _write(tmp_path, step)
    path = tmp_path / "step_00000020" / "manifest.json"
    good = path.read_bytes()
    for bit in range(8 * len(good)):
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(DamagedCheckpoint, match="step_00000020"):
            verify_checkpoint(path.parent)
        if bit % 97 == 0:
            caplog.clear()
            assert latest_checkpoint(tmp_path) == tmp_path / "step_00000010"
            assert (
                "skipping a damaged checkpoint" in caplog.text and str(path.parent) in caplog.text
            )
    path.write_bytes(good)
    assert _step(tmp_path) == 20


FACTS = '{"bytes": 1, "sha256": "00"}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "damaged: Expecting value"),
        ("[]", "it must hold schema, step and files"),
        ("null", "it must hold schema, step and files"),
        ('{"schema": 1, "files": []}', "it must hold schema, step and files"),
        ('{"schema": 2, "step": 20, "files": {}}', "schema 2; this version reads schema 1"),
        ('{"schema": 1, "step": null, "files": {}}', "its step is None"),
        ('{"schema": 1, "step": -1, "files": {}}', "its step is -1"),
        ('{"schema": 1, "step": 20, "files": null}', "its files must be named"),
        ('{"schema": 1, "step": 20, "files": []}', "its files must be named"),
        ('{"schema": 1, "step": 20, "files": {}}', r"state\.json among them"),
        ('{"schema": 1, "step": 20, "files": {"state.json": null}}', "bytes and sha256 of 'state"),
        (f'{{"schema": 1, "step": 21, "files": {{"state.json": {FACTS}}}}}', "is of step 21"),
        (
            f'{{"schema": 1, "step": 20, "files": {{"state.json": {FACTS}, "../x": {FACTS}}}}}',
            r"'\.\./x' is not the name of a file",
        ),
        (
            '{"schema": 1, "step": 20, "files": {"state.json": {"bytes": [], "sha256": 0}}}',
            r"instead of \[\]",
        ),
        ("[" * 100_000, "nested too deep"),
        ("9" * 10_000, "is damaged"),
        ("\xff", "is damaged"),
    ],
)
def test_c5_a_manifest_that_is_none_is_damage(tmp_path: Path, text: str, said: str) -> None:
    for step in (10, 20):
        _write(tmp_path, step)
    (tmp_path / "step_00000020" / "manifest.json").write_bytes(text.encode("latin-1"))
    for read in (verify_checkpoint, read_checkpoint):
        with pytest.raises(DamagedCheckpoint, match=said):
            read(tmp_path / "step_00000020")
    assert latest_checkpoint(tmp_path) == tmp_path / "step_00000010"


def test_c13_leftovers_are_swept_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write(tmp_path, 1)
    for name in ("step_00000002.tmp", "step_00000003.tmp", "step_00000001.old"):
        (tmp_path / name).mkdir()
    with caplog.at_level(logging.INFO, logger="mmdiff"):
        sweep(tmp_path)
    assert "removed 3 unfinished" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]


def test_the_configuration_lies_beside_and_is_digested(tmp_path: Path) -> None:
    folder = tmp_path / "step_00000001"
    write_checkpoint(_state(1), folder, configuration={"backbone": {"num_layers": 2}})
    assert read_configuration(folder) == {"backbone": {"num_layers": 2}}
    (folder / "configuration.json").write_text(json.dumps({"backbone": {"num_layers": 3}}))
    with pytest.raises(ValueError, match=r"configuration\.json"):
        verify_checkpoint(folder)
