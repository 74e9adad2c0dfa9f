"""Our reading of tar headers against Python's own, and against anything that is no tar file."""

import io
import random
import tarfile
import time

import pytest

from mmdiff.data.sources.tar_headers import AboutNext, TarFault, TarHeader, read_tar_headers
from mmdiff.media.rejection import Reason

NAMES = [
    "a.mp4",
    "folder/b.txt",
    "n" * 99,
    "n" * 100,
    "p" * 90 + "/" + "q" * 90,
    "l" * 300 + ".wav",
    "ü/кот/猫.mp4",
    "with space.mp4",
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


def _read(content: bytes) -> list[TarHeader | TarFault]:
    found = list(read_tar_headers(io.BytesIO(content)))
    return [item for item in found if not isinstance(item, AboutNext)]


@pytest.mark.parametrize("tar_format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_headers_are_read_as_tarfile_reads_them(tar_format: int) -> None:
    content = _tar(tar_format)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        wanted = [TarHeader(m.name, "", m.offset_data, m.size) for m in tar.getmembers()]
    assert [header.name for header in wanted] == NAMES
    assert _read(content) == wanted


def test_ustar_and_a_missing_end() -> None:
    names = [name for name in NAMES if len(name.encode()) < 200]
    content = _tar(tarfile.USTAR_FORMAT, names)
    assert [header.name for header in _read(content) if isinstance(header, TarHeader)] == names
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + -(-last.size // 512) * 512
    *headers, fault = _read(content[:end])
    assert headers == _read(content)
    assert isinstance(fault, TarFault) and "without the mark of its end" in fault.fault


def test_a_size_of_many_digits_is_an_attribute() -> None:
    info = tarfile.TarInfo("a.mp4")
    info.size = 5
    info.pax_headers = {"size": "700"}
    content = info.tobuf(tarfile.PAX_FORMAT) + bytes(1024 + 1024)
    assert _read(content) == [TarHeader("a.mp4", "", 1536, 700)]


def test_cut_files_are_told_and_keep_what_is_whole() -> None:
    content = _tar(tarfile.PAX_FORMAT)
    whole = _read(content)
    for cut in range(1, len(content) - 10_240, 97):
        found = _read(content[:cut])
        headers = [item for item in found if isinstance(item, TarHeader)]
        assert headers == whole[: len(headers)]
        assert all(item.offset + item.size <= cut for item in headers)
        assert isinstance(found[-1], TarFault)
        assert found[-1].reason in (Reason.TRUNCATED, Reason.BAD_SHARD)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_never_raise_and_never_point_outside(seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(_tar(tarfile.PAX_FORMAT if seed % 2 else tarfile.GNU_FORMAT))
    for _ in range(1 + seed % 7):
        start = chance.randrange(0, len(content), 512)
        content[start + chance.randrange(512)] = chance.randrange(256)
        if seed % 3 == 0:  # a header that someone made, with a right checksum
            _sign(content, start, chance)
    for item in _read(bytes(content)):
        if isinstance(item, TarHeader):
            assert 0 <= item.offset <= item.offset + item.size <= len(content)


def _sign(content: bytearray, start: int, chance: random.Random) -> None:
    field = chance.choice([slice(124, 136), slice(156, 157), slice(0, 100), slice(257, 265)])
    place = slice(start + field.start, start + field.stop)
    content[place] = chance.randbytes(field.stop - field.start)
    content[start + 148 : start + 156] = b" " * 8
    content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_compressed_files_are_told(mode: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        tar.addfile(tarfile.TarInfo("a.mp4"))
    (fault,) = _read(buffer.getvalue())
    assert isinstance(fault, TarFault) and "compressed" in fault.fault


@pytest.mark.parametrize("size", [2**20, 2**33])
def test_long_headers_are_not_read(size: int) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size

    class Zeros(io.BytesIO):
        """2**34 zeros behind a header, without the memory."""

        largest = 0

        def seek(self, offset: int, whence: int = 0, /) -> int:
            return 2**34 if whence == 2 else super().seek(offset)

        def read(self, count: int | None = -1, /) -> bytes:
            self.largest = max(self.largest, count or 0)
            return super().read(count)

    file = Zeros(info.tobuf(tarfile.GNU_FORMAT))
    start = time.monotonic()
    (fault,) = list(read_tar_headers(file))
    assert isinstance(fault, TarFault) and f"a header of {size:,} bytes" in fault.fault
    assert file.largest <= 2**16 and time.monotonic() - start < 1


def test_a_second_tar_behind_the_first_is_told() -> None:
    content = _tar(tarfile.GNU_FORMAT, ["a.mp4"])
    found = _read(content + content)
    assert isinstance(found[-1], TarFault) and "goes on behind its end" in found[-1].fault
    assert _read(content + bytes(100_000)) == _read(content)
