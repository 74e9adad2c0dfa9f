"""A member of a shard reads as the file that was put in, wherever and by whom it is opened."""

import io
import pickle
import tarfile
from pathlib import Path

import fsspec
import pytest
import torch
from torch.utils.data import DataLoader

from mmdiff.data.sources.tar_member import TarMember, open_shard

CONTENTS = [
    bytes((n * k) % 251 for k in range(size)) for n, size in ((3, 0), (5, 700), (7, 99_999))
]


def _members(shard: str, file: io.IOBase) -> list[TarMember]:
    with tarfile.open(fileobj=file, mode="w") as tar:
        for number, content in enumerate(CONTENTS):
            info = tarfile.TarInfo(f"{number}.bin")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        return [TarMember(shard, m.name, m.offset_data, m.size) for m in _reread(file)]


def _reread(file: io.IOBase) -> list[tarfile.TarInfo]:
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        return tar.getmembers()


@pytest.fixture
def members(tmp_path: Path) -> list[TarMember]:
    with (tmp_path / "a.tar").open("wb+") as file:
        return _members(str(tmp_path / "a.tar"), file)


def _read(member: TarMember) -> torch.Tensor:
    with member.open() as file:
        return torch.tensor(list(file.read()), dtype=torch.uint8)


def test_a_view_is_the_file(members: list[TarMember]) -> None:
    for member, content in zip(members, CONTENTS, strict=True):
        with member.open() as view:
            model = io.BytesIO(content)
            assert view.seekable() and view.readable() and not view.writable()
            for whence, offset in ((0, 3), (1, 5), (2, -7), (2, 4), (0, len(content) // 2), (0, 0)):
                if not (whence == 2 and len(content) + offset < 0):
                    assert view.seek(offset, whence) == model.seek(offset, whence)
                    assert view.read(9) == model.read(9)
                    assert view.tell() == model.tell()
            view.seek(0)
            assert view.read() == content
            assert view.read(1) == b""


def test_a_view_cannot_leave_its_member(members: list[TarMember]) -> None:
    with members[1].open() as view:
        with pytest.raises(ValueError, match="seek to -1"):
            view.seek(-1)
        view.seek(10**9)
        assert view.read() == b""
        with pytest.raises(io.UnsupportedOperation):
            view.write(b"x")


def test_closing_a_view_closes_the_shard(members: list[TarMember]) -> None:
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(20):
        with members[2].open() as view:
            view.read(10)
    assert len(list(descriptors.iterdir())) == before


def test_members_travel_to_workers(members: list[TarMember]) -> None:
    loader = DataLoader(
        pickle.loads(pickle.dumps(members)),  # noqa: S301 (as to a process that is spawned)
        batch_size=None,
        collate_fn=_read,
        num_workers=1,
        timeout=60,
    )
    assert [bytes(found.tolist()) for found in loader] == CONTENTS


def test_members_are_read_through_any_file_system() -> None:
    with fsspec.open("memory://bucket/a.tar", "wb") as file:
        buffer = io.BytesIO()
        members = _members("memory://bucket/a.tar", buffer)
        file.write(buffer.getvalue())
    for member, content in zip(members, CONTENTS, strict=True):
        with member.open() as view:
            assert view.read() == content


def test_a_shard_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.tar"):
        TarMember(str(tmp_path / "gone.tar"), "a.mp4", 512, 10).open()
    with pytest.raises(ValueError, match="nosuchprotocol"):
        open_shard("nosuchprotocol://bucket/a.tar")
