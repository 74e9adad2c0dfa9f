import errno
import os
import resource
import subprocess
import sys

import pytest

from mmdiff.media.atomic import atomic_write, made_folder, write_files


def _write(path, text, *, error=None, meanwhile=None):
    with atomic_write(path, overwrite=meanwhile is None) as temporary:
        temporary.write_text(text)
        if error is not None:
            raise error
        path.write_text(meanwhile)


def test_the_file_is_there_at_the_end_and_nothing_else(tmp_path):
    path = tmp_path / "facts.json"
    with atomic_write(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
        assert temporary.suffix == ".json"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_o2_an_error_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "facts.json"
    path.write_text("old")
    with pytest.raises(error):
        _write(path, "half", error=error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_o2_without_overwrite_the_first_one_wins(tmp_path):
    path = tmp_path / "facts.json"
    with pytest.raises(FileExistsError):
        _write(path, "late", meanwhile="first")
    assert path.read_text() == "first"


def test_o2_a_missing_folder_is_named_before_any_work(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"no folder"),
        atomic_write(tmp_path / "no" / "file"),
    ):
        raise AssertionError


KILLED_WHILE_WRITING = """
import json, os, pathlib, signal, sys, time
import torch
from mmdiff.media.atomic import write_files
from mmdiff.media.clip import Clip
from mmdiff.media.sidecar import encode_sidecar

torch.set_num_threads(1)
folder = pathlib.Path(sys.argv[1])
frames = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
clip = Clip(frames, 16, torch.rand(1, 5000), 16000)
def write_all(target):
    for suffix in (".mp4", ".wav"):
        clip.save(target.with_suffix(suffix))
    sidecar = encode_sidecar(target, prompt="a" * 10_000, seed=0, settings={})
    write_files({target.with_suffix(".json"): sidecar})

write_all(folder / "first")  # loads the codecs
start = time.monotonic()
write_all(folder / "first")
round_seconds = time.monotonic() - start
found = 0
for point in range(30):
    target = folder / f"{point}.mp4"
    child = os.fork()
    if child == 0:
        while True:
            write_all(target)
    time.sleep(2 * round_seconds * point / 30)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    left = [path for path in folder.glob(f"{point}.*") if not path.name.startswith(".")]
    assert {path.suffix for path in left} <= {".mp4", ".wav", ".json"}, left
    for suffix in (".mp4", ".wav"):
        if target.with_suffix(suffix).exists():
            found += 1
            assert Clip.load(target.with_suffix(suffix)).num_samples == clip.num_samples
    if target.with_suffix(".json").exists():
        facts = json.loads(target.with_suffix(".json").read_text())
        assert facts["prompt"] == "a" * 10_000
print("found", found)
"""


def test_o1_killed_at_thirty_points_files_are_whole_or_absent(tmp_path):
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 3


FULL_DISK = """
import errno, pathlib, resource, signal, sys
from mmdiff.media.atomic import atomic_write

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target = pathlib.Path(sys.argv[1])
target.write_text("old")
for limit in range(0, 10_000, 1000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with atomic_write(target) as temporary:
            temporary.write_bytes(bytes(10_000))
    except OSError as error:
        assert str(target) in str(error) and "no file was left" in str(error), error
    else:
        raise AssertionError(limit)
    assert target.read_text() == "old"
    assert list(target.parent.iterdir()) == [target]
"""


def test_o2_a_disk_that_is_full_at_ten_points_keeps_the_old_file(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "facts.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_o2_devices_are_not_replaced(tmp_path):
    with (
        pytest.raises(OSError, match="not a regular file"),
        atomic_write("/dev/full"),
    ):
        raise AssertionError
    (tmp_path / "link.json").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match=r"link\.json is not a regular file"),
        atomic_write(tmp_path / "link.json"),
    ):
        raise AssertionError
    assert list(tmp_path.iterdir()) == [tmp_path / "link.json"]


def test_o2_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(NotADirectoryError, match="is not a folder"),
        atomic_write(tmp_path / "file" / "facts.json"),
    ):
        raise AssertionError


def test_what_only_its_writer_could_read_is_shared_as_the_mask_grants(tmp_path):
    path = tmp_path / "weights.safetensors"
    with atomic_write(path) as temporary:
        temporary.touch(mode=0o600)
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_files_that_belong_together_are_there_all_or_none(tmp_path):
    old, new = tmp_path / "a.mp4", tmp_path / "a.json"
    old.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match=rf"cannot write {new}: file too large") as caught:
            write_files({old: b"new", new: bytes(200)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.mp4": b"old"}
    write_files({old: b"new", new: b"{}"})
    assert (old.read_bytes(), new.read_bytes()) == (b"new", b"{}")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ESTALE, errno.EDQUOT, errno.EIO])
def test_an_error_of_the_disk_has_the_words_of_its_number(tmp_path, number):
    with pytest.raises(OSError, match=os.strerror(number).lower()) as caught:  # noqa: SIM117
        with atomic_write(tmp_path / "a.mp4"):
            raise OSError(number, os.strerror(number))
    assert caught.value.errno == number
    assert ("no space" in str(caught.value)) == (number == errno.ENOSPC)
    assert list(tmp_path.iterdir()) == []


def test_folders_made_for_nothing_are_taken_away(tmp_path):
    (tmp_path / "outputs").mkdir()
    with pytest.raises(OSError, match="full"), made_folder(tmp_path / "outputs" / "a" / "b"):
        raise OSError("full")
    assert list(tmp_path.rglob("*")) == [tmp_path / "outputs"]
