"""Clips in tar shards, and S7: what a shard may hold that nobody should follow."""

import io
import json
import pickle
import resource
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from mmdiff.data.sources.listing import ClipEntry, Listing
from mmdiff.data.sources.shard_index import MAX_SHARD_TEXT_BYTES
from mmdiff.data.sources.shards import Shards, expand_braces, shard_paths
from mmdiff.data.sources.tar_member import TarMember
from mmdiff.media.rejection import Reason

Files = dict[str, bytes]


def _add(tar: tarfile.TarFile, name: str, content: bytes = b"", kind: bytes = b"0") -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "a.mp4"
    info.size = len(content) if kind == b"0" else 0
    tar.addfile(info, io.BytesIO(content))


def _shard(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            _add(tar, name, content)
    return path


def _bytes(entry: ClipEntry) -> bytes:
    assert isinstance(entry.media, TarMember)
    with entry.media.open() as file:
        return file.read()


def _reasons(listing: Listing) -> dict[str, Reason]:
    return {rejection.file: rejection.reason for rejection in listing.rejections}


def test_clips_of_all_kinds_by_stem(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    described = {"caption": "json", "start": 1, "end": 2.5, "fps": 16}
    files = {
        "x/a.mp4": b"A" * 700,
        "x/a.txt": b"a cat\n",
        "x/a.wav": b"W",
        "x/a.npy": b"never read",
        "b.json": json.dumps(described).encode(),  # any order inside of a shard
        "c.PNG": b"C",
        "b.webm": b"B",
        "c.txt": b"\xef\xbb\xbfa still",
        "take1.5.flac": b"D",
        "take1.5.txt": b"a sound",
        "e.mp4": b"E",
        "e.txt": b"of the text",
        "e.json": b'{"text": "of the json", "start": 3}',
        "._x.mp4": b"what macOS leaves",
    }
    listing = Shards(str(_shard(tmp_path / "s.tar", files))).listing()
    found = {entry.key: entry for entry in listing.entries}
    assert {key: entry.caption for key, entry in found.items()} == {
        "s.tar/x/a.mp4": "a cat",
        "s.tar/b.webm#1-2.5": "json",
        "s.tar/c.PNG": "a still",
        "s.tar/take1.5.flac": "a sound",
        "s.tar/e.mp4#3-": "of the text",
    }
    assert "the .json has another" in found["s.tar/e.mp4#3-"].notes[0]
    assert {key: _bytes(entry) for key, entry in found.items()} == {
        key: files[key.removeprefix("s.tar/").split("#")[0]] for key in found
    }
    assert isinstance(audio := found["s.tar/x/a.mp4"].audio, TarMember) and audio.name == "x/a.wav"
    spanned = found["s.tar/b.webm#1-2.5"]
    assert (spanned.start_seconds, spanned.end_seconds) == (1.0, 2.5)
    assert "1 .npy" in caplog.text
    assert not listing.rejections


def test_what_is_no_clip_is_told(tmp_path: Path) -> None:
    files = {
        "nothing.mp4": b"A",
        "orphan.txt": b"a caption",
        "empty.mp4": b"A",
        "empty.txt": b" ",
        "broken.mp4": b"A",
        "broken.json": b"{",
        "list.mp4": b"A",
        "list.json": b"[1]",
        "deep.mp4": b"A",
        "deep.json": b"[" * 100_000,
        "none.mp4": b"A",
        "none.json": b'{"label": "cat"}',
        "two.mp4": b"A",
        "two.json": b'{"text": "one", "caption": "other"}',
        "span.mp4": b"A",
        "span.json": b'{"text": "one", "start": 3, "end": 2}',
        "both.mp4": b"A",
        "both.webm": b"B",
        "both.txt": b"taken once",
    }
    listing = Shards(str(_shard(tmp_path / "s.tar", files))).listing()
    assert [entry.key for entry in listing.entries] == ["s.tar/both.mp4"]
    assert {file.removeprefix("s.tar/"): reason for file, reason in _reasons(listing).items()} == {
        "nothing.mp4": Reason.BAD_CAPTION,
        "orphan.txt": Reason.MISSING,
        "empty.mp4": Reason.BAD_CAPTION,
        "broken.mp4": Reason.BAD_ROW,
        "list.mp4": Reason.BAD_ROW,
        "deep.mp4": Reason.BAD_ROW,
        "none.mp4": Reason.BAD_CAPTION,
        "two.mp4": Reason.BAD_CAPTION,
        "span.mp4": Reason.BAD_SPAN,
        "both.webm": Reason.DUPLICATE,
    }


def test_keys_are_relative_to_the_folder_that_all_shards_share(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        _shard(tmp_path / folder / "0.tar", {"1.mp4": b"x", "1.txt": b"one"})
    listing = Shards(f"{tmp_path}/{{b,a}}/*.tar").listing()
    assert [entry.key for entry in listing.entries] == ["b/0.tar/1.mp4", "a/0.tar/1.mp4"]


def test_shards_of_a_remote_file_system(tmp_path: Path) -> None:
    content = _shard(tmp_path / "s.tar", {"1.mp4": b"x" * 5000, "1.txt": b"one"}).read_bytes()
    with fsspec.open("memory://clips/s-000.tar", "wb") as file:
        file.write(content)
    listing = Shards("memory://clips/s-{000..000}.tar").listing()
    assert [(entry.key, _bytes(entry)) for entry in listing.entries] == [
        ("s-000.tar/1.mp4", b"x" * 5000)
    ]


REFUSED = {
    "climbing": ("../../evil.mp4", b"0", Reason.EXTERNAL),
    "climbing inside": ("a/../../evil.mp4", b"0", Reason.EXTERNAL),
    "backslashes": ("..\\evil.mp4", b"0", Reason.EXTERNAL),
    "absolute": ("/etc/evil.mp4", b"0", Reason.EXTERNAL),
    "drive": ("C:/evil.mp4", b"0", Reason.EXTERNAL),
    "symbolic link": ("evil.mp4", tarfile.SYMTYPE, Reason.BAD_SHARD),
    "hard link": ("evil.mp4", tarfile.LNKTYPE, Reason.BAD_SHARD),
    "character device": ("evil.mp4", tarfile.CHRTYPE, Reason.BAD_SHARD),
    "block device": ("evil.mp4", tarfile.BLKTYPE, Reason.BAD_SHARD),
    "pipe": ("evil.mp4", tarfile.FIFOTYPE, Reason.BAD_SHARD),
    "sparse": ("evil.mp4", tarfile.GNUTYPE_SPARSE, Reason.BAD_SHARD),
    "unknown type": ("evil.mp4", b"Z", Reason.BAD_SHARD),
    "no UTF-8": ("caf\udce9.mp4", b"0", Reason.BAD_SHARD),
}


def test_s7_members_that_lead_elsewhere_are_refused_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        _add(tar, "a.mp4", b"A")
        _add(tar, "a.txt", b"one")
        for name, kind, _ in REFUSED.values():
            _add(tar, name, b"evil", kind)
        _add(tar, "b.mp4", b"B")
        _add(tar, "b.txt", b"two")
    listing = Shards(str(path)).listing()
    assert [entry.key for entry in listing.entries] == ["s.tar/a.mp4", "s.tar/b.mp4"]
    found = [rejection.reason for rejection in listing.rejections]
    assert found == [reason for *_, reason in REFUSED.values()]
    assert {item.name for item in tmp_path.iterdir()} == {"s.tar"}  # nothing was extracted


def test_s7_the_caption_of_a_refused_member_is_not_told_twice(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        _add(tar, "evil.mp4", kind=tarfile.SYMTYPE)
        _add(tar, "evil.txt", b"a caption")
    listing = Shards(str(tmp_path / "s.tar")).listing()
    assert _reasons(listing) == {"s.tar/evil.mp4": Reason.BAD_SHARD}
    assert len(listing.rejections) == 1


def _claimed_sparse(path: Path) -> None:
    info = tarfile.TarInfo("evil.mp4")
    info.size = 10 * 2**30
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240))


def _sparse_text(path: Path) -> None:
    info = tarfile.TarInfo("evil.txt")
    info.size = 10 * 2**30
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(512 + info.size + 10_240)


def _sparse_attributes(path: Path) -> None:
    info = tarfile.TarInfo("evil")
    info.type, info.size = tarfile.XHDTYPE, 10 * 2**30
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.truncate(512 + info.size + 10_240)


def _zeros(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 * 2**30)


def _million(path: Path) -> None:
    header = tarfile.TarInfo("a.mp4").tobuf(tarfile.USTAR_FORMAT)
    with path.open("wb") as file:
        for _ in range(100):
            file.write(header * 10_000)


def _caption_bombs(path: Path) -> None:
    """Captions that are each small enough, and too many bytes together; holes on disk."""
    size, count = 39_936, MAX_SHARD_TEXT_BYTES // 39_936 + 2
    with path.open("wb") as file:
        for number in range(count):
            info = tarfile.TarInfo(f"{number}.txt")
            info.size = size
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            file.seek(size, 1)
        file.truncate(file.tell() + 1024)


BOMBS: dict[str, tuple[Callable[[Path], None], Reason]] = {
    "10 GB claimed": (_claimed_sparse, Reason.TRUNCATED),
    "10 GB caption": (_sparse_text, Reason.MISSING),
    "10 GB header": (_sparse_attributes, Reason.BAD_SHARD),
    "10 GB of zeros": (_zeros, Reason.EMPTY),
    "a million members": (_million, Reason.TOO_LARGE),
    "captions without end": (_caption_bombs, Reason.TOO_LARGE),
}


@pytest.mark.parametrize("case", BOMBS)
def test_s7_bombs_are_refused_in_bounded_time_and_memory(tmp_path: Path, case: str) -> None:
    write, reason = BOMBS[case]
    write(tmp_path / "s.tar")
    with _bounded(seconds=10, mebibytes=400):
        listing = Shards(str(tmp_path / "s.tar"), max_members=10_000).listing()
    (tmp_path / "s.tar").unlink()  # some are large, and pytest keeps folders
    assert not listing.entries
    assert [rejection.reason for rejection in listing.rejections] == [reason]


def test_s7_a_caption_too_long_costs_its_clip_only(tmp_path: Path) -> None:
    files = {"a.mp4": b"A", "a.txt": b"x" * 100_000, "b.mp4": b"B", "b.json": b"{" + b" " * 2**19}
    files |= {"c.mp4": b"C", "c.txt": b"fine"}
    listing = Shards(str(_shard(tmp_path / "s.tar", files))).listing()
    assert [entry.key for entry in listing.entries] == ["s.tar/c.mp4"]
    assert set(_reasons(listing).values()) == {Reason.BAD_CAPTION}


class _bounded:  # noqa: N801 (it reads as a word in a with statement)
    """Fails if the block takes longer, or raises the peak of memory by more."""

    def __init__(self, *, seconds: float, mebibytes: int) -> None:
        self.seconds, self.mebibytes = seconds, mebibytes

    def __enter__(self) -> None:
        self.start, self.before = time.process_time(), _peak()

    def __exit__(self, *_: object) -> None:
        assert time.process_time() - self.start < self.seconds
        assert _peak() - self.before < self.mebibytes * 2**10


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB


def test_s7_a_pickle_in_a_shard_is_never_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    class Payload:
        def __reduce__(self) -> tuple[object, ...]:
            return (marker.touch, ())

    content = pickle.dumps(Payload())
    files = {f"a.{suffix}": content for suffix in ("pkl", "pyd", "pth", "npy", "cls", "txt")}
    listing = Shards(str(_shard(tmp_path / "s.tar", {"a.mp4": content, **files}))).listing()
    assert not listing.entries and len(listing.rejections) == 1
    assert not marker.exists()


def test_damaged_shards_keep_what_is_whole_and_others_go_on(tmp_path: Path) -> None:
    files = {f"{i}{suffix}": b"x" * 999 for i in range(4) for suffix in (".txt", ".mp4")}
    good = _shard(tmp_path / "0.tar", files)
    (tmp_path / "1.tar").write_bytes(good.read_bytes()[:7000])  # in the middle of 2.txt
    (tmp_path / "2.tar").write_bytes(b"no tar file" * 100)
    (tmp_path / "3.tar").write_bytes(b"")
    listing = Shards(f"{tmp_path}/*.tar").listing()
    assert [e.key for e in listing.entries] == [
        *(f"0.tar/{i}.mp4" for i in range(4)),
        *(f"1.tar/{i}.mp4" for i in range(2)),
    ]
    assert _reasons(listing) == {
        "1.tar": Reason.TRUNCATED,
        "2.tar": Reason.BAD_SHARD,
        "3.tar": Reason.EMPTY,
    }


def test_the_same_name_twice_counts_once(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for content in (b"one", b"two"):
            _add(tar, "a.mp4", content)
            _add(tar, "a.txt", content)
    listing = Shards(str(tmp_path / "s.tar")).listing()
    assert [(entry.caption, _bytes(entry)) for entry in listing.entries] == [("one", b"one")]
    assert [rejection.reason for rejection in listing.rejections] == [Reason.DUPLICATE] * 2


def test_many_clips_are_listed_in_time(tmp_path: Path) -> None:
    def members() -> Iterator[tuple[str, bytes]]:
        for number in range(2_000):
            yield f"{number:06}.mp4", b"x" * 600
            yield f"{number:06}.txt", b"a caption"

    path = _shard(tmp_path / "s.tar", dict(members()))
    with _bounded(seconds=5, mebibytes=200):
        listing = Shards(str(path)).listing()
    assert len(listing.entries) == 2_000 and not listing.rejections
    assert [entry.key for entry in listing.entries] == [f"s.tar/{n:06}.mp4" for n in range(2_000)]


@pytest.mark.parametrize(
    "pattern, names",
    [
        ("a.tar", ["a.tar"]),
        ("a-{000..002}.tar", ["a-000.tar", "a-001.tar", "a-002.tar"]),
        ("a-{8..11}.tar", ["a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"]),
        ("{x,y}/{0..1}", ["x/0", "x/1", "y/0", "y/1"]),
        ("a-{5..5}.tar", ["a-5.tar"]),
    ],
)
def test_braces(pattern: str, names: list[str]) -> None:
    assert expand_braces(pattern) == names


@pytest.mark.parametrize("pattern", ["{9..0}", "{0..99999999}", "{000..999}{000..999}"])
def test_braces_are_bounded(pattern: str) -> None:
    with pytest.raises(ValueError, match="100,000"):
        expand_braces(pattern)


def test_local_names_globs_and_their_faults(tmp_path: Path) -> None:
    for name in ("b-001.tar", "b-000.tar", "a[1].tar"):
        (tmp_path / name).touch()
    (tmp_path / "folder.tar").mkdir()
    assert shard_paths(f"{tmp_path}/b-*.tar") == [str(tmp_path / f"b-00{n}.tar") for n in (0, 1)]
    assert shard_paths([f"{tmp_path}/b-{{001..001}}.tar", f"{tmp_path}/a[1].tar"]) == [
        *(f"{tmp_path}/b-001.tar", f"{tmp_path}/a[1].tar")
    ]
    with pytest.raises(ValueError, match=r"b-002\.tar': there is no such file"):
        shard_paths(f"{tmp_path}/b-{{000..002}}.tar")
    with pytest.raises(ValueError, match="there is no such file"):
        shard_paths(f"{tmp_path}/folder.tar")
    with pytest.raises(ValueError, match=r"twice: .*b-000\.tar"):
        shard_paths([f"{tmp_path}/b-*.tar", f"{tmp_path}/b-000.tar"])
    with pytest.raises(ValueError, match="urls is empty"):
        shard_paths([])


def test_urls_of_any_file_system() -> None:
    for number in range(3):
        with fsspec.open(f"memory://urls/c-{number}.tar", "wb") as file:
            file.write(b"x")
    names = [f"memory://urls/c-{number}.tar" for number in range(3)]
    assert shard_paths("memory://urls/c-{0..2}.tar") == names
    assert [path.replace(":///", "://") for path in shard_paths("memory://urls/*.tar")] == names
    for wrong in ("memory://urls/d.tar", "memory://urls/d-*.tar", "nosuch://bucket/a.tar"):
        with pytest.raises(ValueError, match=r"urls names"):
            shard_paths(wrong)


def test_s7_no_command_is_run() -> None:
    with pytest.raises(ValueError, match="would run a command"):
        shard_paths("pipe:touch /tmp/marker; cat a.tar")
