"""S6: a list names files under its root and nothing else."""

import os
from pathlib import Path

import pytest

from mmdiff.data.sources.folder import ClipFolder
from mmdiff.data.sources.pairs import PairLists
from mmdiff.data.sources.safe_path import MediaRoot, SafePath
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a clip in it, one beside it, and links of all kinds."""
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    for path in (folder / "a.mp4", folder / "sub/b.mp4", tmp_path / "outside.mp4"):
        path.write_bytes(b"clip")
    links = {
        "out.mp4": tmp_path / "outside.mp4",
        "relative_out.mp4": Path("../outside.mp4"),
        "out": tmp_path,
        "in.mp4": folder / "sub/b.mp4",
        "loop.mp4": folder / "loop.mp4",
        "dangling.mp4": folder / "gone.mp4",
        "two_steps.mp4": folder / "out.mp4",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.mp4")
    return folder


def named(root: Path, name: str, *, allow_external: bool = False) -> SafePath | Rejection:
    try:
        return MediaRoot(root, allow_external=allow_external).named(name)
    except RejectedMedia as error:
        return error.rejection


LOCAL = [
    "{outside}",
    "../outside.mp4",
    "sub/../../outside.mp4",
    "out.mp4",
    "relative_out.mp4",
    "two_steps.mp4",
    "out/outside.mp4",
    "file://{outside}",
]
NEVER = [
    "http://example.org/a.mp4",
    "https://example.org/a.mp4",
    "concat:a.mp4|sub/b.mp4",
    "subfile,,start,0,end,9,,:a.mp4",
    "file:a.mp4",
    "file://server/a.mp4",
    "data:video/mp4;base64,AAAA",
    "pipe:0",
    "s3://bucket/a.mp4",
    "C:\\clips\\a.mp4",
    "\\\\server\\share\\a.mp4",
    "a.mp4\0.txt",
    "",
]


@pytest.mark.parametrize("name", LOCAL)
def test_s6_names_that_lead_out_are_refused_unless_allowed(root: Path, name: str) -> None:
    name = name.format(outside=root.parent / "outside.mp4")
    refused = named(root, name)
    assert isinstance(refused, Rejection) and refused.reason is Reason.EXTERNAL
    assert "allow_external" in refused.message or "protocol" in refused.message
    allowed = named(root, name, allow_external=True)
    assert isinstance(allowed, SafePath)
    assert allowed.path == (root.parent / "outside.mp4").resolve()


@pytest.mark.parametrize("name", NEVER)
@pytest.mark.parametrize("allow_external", [False, True])
def test_s6_what_is_no_local_file_is_refused(root: Path, name: str, allow_external: bool) -> None:
    found = named(root, name, allow_external=allow_external)
    assert isinstance(found, Rejection)
    assert found.reason in (Reason.EXTERNAL, Reason.BAD_ROW, Reason.MISSING)
    assert len(found.message.splitlines()) == 1


@pytest.mark.parametrize("name", [".mp4/../../outside.mp4", "..", "sub/..", "..\\outside.mp4"])
def test_s6_climbing_is_refused_even_where_it_comes_back(root: Path, name: str) -> None:
    found = named(root, name)
    assert isinstance(found, Rejection) and found.reason is Reason.EXTERNAL


@pytest.mark.parametrize("name", ["a.mp4", "./a.mp4", "sub//b.mp4", "in.mp4"])
def test_s6_names_under_the_root_are_found(root: Path, name: str) -> None:
    found = named(root, name)
    assert isinstance(found, SafePath)
    assert found.path.is_relative_to(root) and found.path.read_bytes() == b"clip"
    assert found.key == os.path.normpath(name)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("gone.mp4", Reason.MISSING),
        ("dangling.mp4", Reason.MISSING),
        ("loop.mp4", Reason.UNREADABLE),
        ("sub", Reason.UNREADABLE),
        ("pipe.mp4", Reason.UNREADABLE),
        ("n" * 300 + ".mp4", Reason.UNREADABLE),
        ("caf\udce9.mp4", Reason.UNREADABLE),
    ],
)
def test_what_is_no_file_is_told(root: Path, name: str, reason: Reason) -> None:
    found = named(root, name)
    assert isinstance(found, Rejection) and found.reason is reason
    found.message.encode()
    found.file.encode()


def test_s6_holds_for_every_source_and_for_sound(root: Path) -> None:
    (root / "prompts.txt").write_text("one\ntwo\n")
    (root / "videos.txt").write_text("a.mp4\n../outside.mp4\n")
    (root / "metadata.csv").write_text(
        "file_name,text,audio_file_name\na.mp4,one,../outside.mp4\nsub/b.mp4,two,\nout.mp4,x,\n"
    )
    pairs = PairLists(root).listing()
    assert [entry.key for entry in pairs.entries] == ["a.mp4"]
    assert [fault.reason for fault in pairs.rejections] == [Reason.EXTERNAL]
    assert len(PairLists(root, allow_external=True).listing().entries) == 2
    table = ClipFolder(root).listing()
    assert [entry.key for entry in table.entries] == ["sub/b.mp4"]
    assert {fault.file: fault.reason for fault in table.rejections if "mp4" in fault.file} == {
        "a.mp4": Reason.EXTERNAL,
        "out.mp4": Reason.EXTERNAL,
    }


def test_s6_a_walk_does_not_leave_the_root(root: Path) -> None:
    for stem in ("a", "out", "in", "sub/b"):
        (root / f"{stem}.txt").write_text(stem)
    (root.parent / "outside.txt").write_text("not ours")
    listing = ClipFolder(root).listing()
    assert {entry.key for entry in listing.entries} == {"a.mp4", "in.mp4", "sub/b.mp4"}
    reasons = {fault.file: fault.reason for fault in listing.rejections}
    assert reasons["out"] is Reason.EXTERNAL and reasons["out.mp4"] is Reason.EXTERNAL


def test_a_root_must_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="which is not there"):
        MediaRoot(tmp_path / "gone")
    with pytest.raises(ValueError, match="which is a file"):
        MediaRoot(tmp_path / "file")
