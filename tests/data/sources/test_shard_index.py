"""A shard is read as tarfile reads it; what is cut off, damaged or compressed is reported."""

import io
import random
import tarfile
from pathlib import Path

import pytest

from mmdiff.data.sources.shard_index import ShardIndex, index_shard
from mmdiff.media.rejection import Reason

NAMES = [
    *("a.mp4", "folder/b.txt", "n" * 99, "n" * 100, "p" * 90 + "/" + "q" * 90),
    *("l" * 300 + ".wav", "ü/кот/猫.mp4", "with space.mp4"),
]


def _tar(tar_format: int, names: list[str] = NAMES) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = 300 * number
            info.mtime = 0.25 if tar_format == tarfile.PAX_FORMAT else 0
            tar.addfile(info, io.BytesIO(bytes([number]) * info.size))
    return buffer.getvalue()


def _index(folder: Path, content: bytes) -> ShardIndex:
    (folder / "s.tar").write_bytes(content)
    return index_shard(str(folder / "s.tar"), label="s.tar")


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_members_lie_where_tarfile_finds_them(tmp_path: Path, tar_format: int) -> None:
    content = _tar(tar_format)
    index = _index(tmp_path, content)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        wanted = [(m.name, m.offset_data, m.size) for m in tar.getmembers()]
    assert [(m.name, m.offset, m.size) for m in index.members] == wanted
    assert [name for name, *_ in wanted] == NAMES
    assert index.texts == {"folder/b.txt": b"\1" * 300} and not index.rejections


def test_cut_files_keep_what_is_whole(tmp_path: Path) -> None:
    content = _tar(tarfile.PAX_FORMAT)
    whole = _index(tmp_path, content).members
    end = whole[-1].offset + -(-whole[-1].size // 512) * 512
    for cut in [*range(1, end, 397), end]:
        index = _index(tmp_path, content[:cut])
        assert index.members == whole[: len(index.members)]
        assert all(member.offset + member.size <= cut for member in index.members)
        assert [one.reason in (Reason.TRUNCATED, Reason.BAD_SHARD) for one in index.rejections] == [
            True
        ]


@pytest.mark.parametrize("seed", range(20))
def test_damage_is_reported_or_does_not_matter(tmp_path: Path, seed: int) -> None:
    content = bytearray(_tar((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)[seed % 2]))
    draw = random.Random(seed)
    for _ in range(8):
        content[draw.randrange(len(content))] = draw.randrange(256)
    index = _index(tmp_path, bytes(content))
    assert all(0 <= one.offset <= one.offset + one.size <= len(content) for one in index.members)
    assert len(index.members) == len(NAMES) or index.rejections


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_compressed_files_are_refused(tmp_path: Path, mode: str) -> None:
    with tarfile.open(tmp_path / "a.tar", mode) as tar:
        tar.addfile(tarfile.TarInfo("a.mp4"))
    (rejection,) = _index(tmp_path, (tmp_path / "a.tar").read_bytes()).rejections
    assert rejection.reason is Reason.BAD_SHARD and "unpack it to a plain .tar" in rejection.message


def test_a_second_tar_behind_the_first_is_reported(tmp_path: Path) -> None:
    one = _tar(tarfile.GNU_FORMAT, ["a.mp4"])
    index = _index(tmp_path, one + _tar(tarfile.GNU_FORMAT, ["b.mp4"]))
    assert [member.name for member in index.members] == ["a.mp4"]
    assert "two tar files in one" in index.rejections[0].message
