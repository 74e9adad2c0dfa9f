"""A folder is there whole or not at all, whatever happens while it is written or deleted."""

import errno
import json
import logging
import os
import resource
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from mmdiff.loading.digest import sha256_of
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
from mmdiff.training.manifest import Manifest
from tests.training.faults import POINTS, Fault, at
from tests.training.forked import exit_code, fork

Plan = Callable[..., None]


def _state(step: int, size: int = 500) -> dict[str, Any]:
    return {
        "global_step": step,
        "state_dict": {"weight": torch.full((size,), float(step))},
        "optimizer_states": [{"momentum": torch.full((size,), float(-step))}],
    }


def _write(folder: Path, step: int) -> None:
    write_checkpoint(_state(step), folder / f"step_{step:08d}")


def _step(folder: Path) -> int:
    """Of the newest checkpoint, which must hold the numbers of its step; after what a start does
    first."""
    sweep(folder)
    newest = latest_checkpoint(folder, strict=True)
    assert newest is not None
    content = read_checkpoint(newest)
    assert (content["state_dict"]["weight"] == content["global_step"]).all()
    return int(content["global_step"])


def _steps(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("step_")) for path in checkpoints_in(folder)]


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> Counter[Path]:
    """How often each file was digested, in a process that has not digested any."""
    found = Counter[Path]()

    def counted(path: Path) -> str:
        found[path] += 1
        return sha256_of(path)

    monkeypatch.setattr("mmdiff.training.manifest.sha256_of", counted)
    monkeypatch.setattr("mmdiff.training.manifest._digests", {})
    return found


def test_a_checkpoint_is_digested_once_to_find_to_read_and_to_keep_it(
    tmp_path: Path, digested: Counter[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        _write(tmp_path, step)
    monkeypatch.setattr("mmdiff.training.manifest._digests", {})  # a process that resumes
    digested.clear()
    newest = latest_checkpoint(tmp_path)
    assert newest is not None and latest_checkpoint(tmp_path) == newest
    assert read_checkpoint(newest)["global_step"] == 2
    _write(tmp_path, 3)
    retain(tmp_path, 2)
    assert digested[newest / "weights.safetensors"] == 1
    assert set(digested.values()) == {1}
    weights = newest / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(DamagedCheckpoint, match="sha256"):
        verify_checkpoint(newest)


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
        plan = [at(point, "kill", step=2, hit=hit)]
        if exit_code(fork(lambda: _write(tmp_path, 2), faults=plan)) == 0:
            assert hit > 1  # no further passage
            break
        is_new = is_there or point == "published"
        assert _step(tmp_path) == (2 if is_new else 1)
        assert [path.suffix for path in tmp_path.iterdir()] == [""] * len(list(tmp_path.iterdir()))
    _write(tmp_path, 3)
    assert _step(tmp_path) == 3


@pytest.mark.parametrize("point", [point for point in POINTS if point != "published"])
def test_c6_a_full_disk_at_each_point(tmp_path: Path, point: str, faults: Plan) -> None:
    _write(tmp_path, 1)
    for hit in (1, 2) if point in ("write", "written", "flush") else (1,):
        faults(at(point, "ENOSPC", step=2, hit=hit))
        _refused(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]
    faults()
    _write(tmp_path, 2)
    assert _step(tmp_path) == 2 and len(list(tmp_path.iterdir())) == 2


def test_c6_a_full_disk_while_a_folder_is_replaced(tmp_path: Path, faults: Plan) -> None:
    _write(tmp_path, 2)
    faults(at("replace", "ENOSPC"))
    _refused(tmp_path)
    faults()
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


@pytest.mark.parametrize("name", ["EIO", "ENOSPC"])
def test_an_error_number_is_reported_as_what_it_is(tmp_path: Path, faults: Plan, name: str) -> None:
    faults(at("flush", name))
    with pytest.raises(CheckpointNotSaved) as error:
        _write(tmp_path, 2)
    said = str(error.value)
    assert os.strerror(getattr(errno, name)).lower() in said
    assert ("make room" in said) == ("bytes" in said) == (name == "ENOSPC")


@pytest.mark.parametrize("point", ["write", "manifest", "replace"])
def test_a_stale_file_handle_is_tried_again(
    tmp_path: Path, faults: Plan, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setattr("mmdiff.media.atomic.STALE_PAUSES", (0, 0))
    _write(tmp_path, 2)
    faults(at(point, "ESTALE", hit=1))
    _write(tmp_path, 2)
    assert _step(tmp_path) == 2
    faults(at(point, "ESTALE"))
    with pytest.raises(CheckpointNotSaved, match=os.strerror(errno.ESTALE).lower()):
        _write(tmp_path, 3)
    assert _step(tmp_path) == 2


def test_an_error_that_no_disk_made_keeps_its_type(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="callbacks"):
        write_checkpoint({"callbacks": object()}, tmp_path / "step_00000001")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("function", ["os.replace", "shutil.rmtree"])
@pytest.mark.parametrize("hit", [1, 2])
def test_c7_killed_while_deleting(tmp_path: Path, function: str, hit: int) -> None:
    for step in (1, 2, 3, 4):
        _write(tmp_path, step)
    plan = [Fault("kill", function, "*.tmp", hit)]
    assert exit_code(fork(lambda: retain(tmp_path, 2), faults=plan)) == -9
    assert _step(tmp_path) == 4
    assert len(checkpoints_in(tmp_path)) >= 2
    for path in checkpoints_in(tmp_path):
        assert verify_checkpoint(path)
    retain(tmp_path, 2)
    assert _steps(tmp_path) == [4, 3]


def test_c7_damaged_checkpoints_do_not_count_as_kept(tmp_path: Path) -> None:
    """A run that went back behind two damaged ones: what it saves stays, and what it goes past is
    deleted."""
    for step in (5, 10, 20, 30):
        _write(tmp_path, step)
    for step in (20, 30):
        (tmp_path / f"step_{step:08d}" / "weights.safetensors").write_bytes(b"x")
    left = {
        15: [30, 20, 15, 10],
        20: [30, 20, 15],
        25: [30, 25, 20],
        35: [35, 30, 25],
        36: [36, 35],
    }
    for step, steps in left.items():
        _write(tmp_path, step)
        retain(tmp_path, 2)
        assert _steps(tmp_path) == steps


def test_c7_never_fewer_than_one_that_loads(tmp_path: Path) -> None:
    cases: list[tuple[int, ...]] = [(), (4,), (3, 4), (1, 3), (2, 3, 4), (1, 2, 3, 4)]
    for number, (keep, damaged) in enumerate(product((0, 1, 2), cases)):
        folder = tmp_path / str(number)
        for step in (1, 2, 3, 4):
            _write(folder, step)
        for step in damaged:
            (folder / f"step_{step:08d}" / "manifest.json").unlink()
        before = latest_checkpoint(folder)
        retain(folder, keep)
        assert latest_checkpoint(folder) == before
        valid = [step for step in (4, 3, 2, 1) if step not in damaged]
        assert [step for step in _steps(folder) if step in valid] == valid[: max(keep, 1)]


def test_c7_the_newest_is_the_one_of_the_highest_number(tmp_path: Path) -> None:
    """Names have eight digits, and numbers of steps may have more."""
    for step in (99_999_999, 100_000_000, 100_000_001):
        _write(tmp_path, step)
    for name in ("step_7.tmp", "step_x1", "step_1_of_2"):
        (tmp_path / name).mkdir()
    assert _step(tmp_path) == 100_000_001
    retain(tmp_path, 2)
    assert _steps(tmp_path) == [100_000_001, 100_000_000]


def test_c5_any_flipped_bit_of_a_manifest_is_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (10, 20):
        _write(tmp_path, step)
    path = tmp_path / "step_00000020" / "manifest.json"
    good = path.read_bytes()
    for bit in range(0, 8 * len(good), 7):  # each of the eight bits of a byte in turn
        content = bytearray(good)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(DamagedCheckpoint, match="step_00000020"):
            verify_checkpoint(path.parent)
    assert latest_checkpoint(tmp_path) == tmp_path / "step_00000010"
    assert "skipping a damaged checkpoint" in caplog.text and str(path.parent) in caplog.text
    path.write_bytes(good)
    assert _step(tmp_path) == 20


def test_c5_a_tensor_that_is_named_and_not_there_is_damage(tmp_path: Path) -> None:
    """Where somebody has written a new manifest as well."""
    _write(tmp_path, 1)
    folder = tmp_path / "step_00000001"
    (folder / "weights.safetensors").unlink()
    left = [path for path in folder.iterdir() if path.name != "manifest.json"]
    Manifest.of(left, step=1).write(folder)
    with pytest.raises(DamagedCheckpoint, match="cannot be read"):
        read_checkpoint(folder)


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


def test_c8_tensors_changed_behind_the_writer_are_saved_as_they_were(tmp_path: Path) -> None:
    folder, weight = tmp_path / "step_00000001", torch.arange(1000.0)
    write_checkpoint({"global_step": 1, "state_dict": {"weight": weight}}, folder)
    weight.fill_(-1)
    assert torch.equal(read_checkpoint(folder)["state_dict"]["weight"], torch.arange(1000.0))


def test_c11_no_pickle_when_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, 1)
    monkeypatch.setattr("pickle.Unpickler", None)
    monkeypatch.setattr("pickle.load", None)
    assert read_checkpoint(tmp_path / "step_00000001")
    suffixes = {path.suffix for path in (tmp_path / "step_00000001").iterdir()}
    assert suffixes == {".json", ".safetensors"}


def test_shared_tensors_are_stored_once(tmp_path: Path) -> None:
    shared = torch.randn(4, 4)
    state = {"global_step": 7, "state_dict": {"a": shared, "b": shared, "c": shared.T}}
    write_checkpoint(state, tmp_path / "step_00000007")
    found = read_checkpoint(tmp_path / "step_00000007")["state_dict"]
    assert torch.equal(found["a"], shared) and torch.equal(found["c"], shared.T)
    assert found["a"] is found["b"]
