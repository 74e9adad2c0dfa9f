"""Names of shards as users write them."""

from pathlib import Path

import fsspec
import pytest

from mmdiff.data.sources.shard_urls import expand_braces, shard_paths


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
