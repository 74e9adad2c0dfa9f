"""Sources of different types in one listing."""

from pathlib import Path

import pytest

from mmdiff.data.sources.folder import ClipFolder
from mmdiff.data.sources.weighted_sources import WeightedSources


def _folder(root: Path, count: int, suffix: str) -> ClipFolder:
    root.mkdir()
    for number in range(count):
        (root / f"{number}{suffix}").write_bytes(b"x")
        (root / f"{number}.txt").write_text(f"clip {number}")
    (root / f"silent{suffix}").write_bytes(b"x")
    return ClipFolder(root)


def test_one_listing_with_the_names_of_the_sources(tmp_path: Path) -> None:
    sources = {
        "talks": _folder(tmp_path / "t", 6, ".mp4"),
        "stills": _folder(tmp_path / "s", 2, ".png"),
    }
    listing = WeightedSources(sources, {"stills": 3, "talks": 1}).listing()
    keys = [entry.key for entry in listing.entries]
    assert keys[:2] == ["talks/0.mp4", "talks/1.mp4"] and keys[6:] == [
        *("stills/0.png", "stills/1.png")
    ]
    assert listing.weights == {"talks": 1.0, "stills": 3.0}
    assert list(listing.weights) == ["talks", "stills"]
    assert [r.file for r in listing.rejections] == ["talks/silent.mp4", "stills/silent.png"]


def test_without_weights_every_clip_counts_the_same(tmp_path: Path) -> None:
    sources = {name: _folder(tmp_path / name, n, ".mp4") for name, n in (("a", 3), ("b", 9))}
    assert WeightedSources(sources).listing().weights == {"a": 3.0, "b": 9.0}


def test_v10_a_source_without_clips_is_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\ngone.mp4,a clip\n")
    with pytest.raises(ValueError, match=r"source 'talks' has no clips, 1 are left out.*not there"):
        WeightedSources({"talks": ClipFolder(tmp_path)}).listing()


def test_wrong_names_are_reported(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a", 3, ".mp4")
    with pytest.raises(ValueError, match="sources is empty"):
        WeightedSources({})
    with pytest.raises(ValueError, match="b, talks is in one only"):
        WeightedSources({"talks": folder}, {"b": 1})
    for weight in (-1, 0, float("nan")):
        with pytest.raises(ValueError, match=rf"weights.a is {weight}; it must be .*above 0"):
            WeightedSources({"a": folder}, {"a": weight})
    with pytest.raises(ValueError, match="has no /"):
        WeightedSources({"a/b": folder})
