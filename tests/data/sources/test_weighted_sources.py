"""Sources of different kinds in one listing."""

from collections import Counter
from pathlib import Path

import pytest

from mmdiff.data.sources.clip_folder import ClipFolder
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
    mixture = WeightedSources(sources, {"stills": 3, "talks": 1}).mixture()
    keys = [entry.key for entry in mixture.listing.entries]
    assert keys[:2] == ["talks/0.mp4", "talks/1.mp4"] and keys[6:] == [
        *("stills/0.png", "stills/1.png")
    ]
    assert (mixture.names, mixture.counts, mixture.weights) == (
        *(("talks", "stills"), (6, 2), (1.0, 3.0)),
    )
    assert [r.file for r in mixture.listing.rejections] == [
        *("talks/silent.mp4", "stills/silent.png")
    ]
    order = mixture.order(4, seed=1, world_size=2)
    drawn = Counter(keys[n % 8].split("/")[0] for epoch in range(10) for n in order.epoch(epoch))
    assert drawn == {"talks": 20, "stills": 60}


def test_without_weights_every_clip_counts_the_same(tmp_path: Path) -> None:
    sources = {name: _folder(tmp_path / name, n, ".mp4") for name, n in (("a", 3), ("b", 9))}
    mixture = WeightedSources(sources).mixture()
    numbers = mixture.order(12, seed=1).epoch(0)
    assert sorted(numbers) == list(range(12))
    assert WeightedSources(sources).listing() == mixture.listing


def test_wrong_names_are_told(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "a", 3, ".mp4")
    with pytest.raises(ValueError, match="sources is empty"):
        WeightedSources({})
    with pytest.raises(ValueError, match="b, talks is in one only"):
        WeightedSources({"talks": folder}, {"b": 1})
    for weight in (-1, 0, float("nan")):
        with pytest.raises(ValueError, match=f"the weight of a is {weight}; it must be above 0"):
            WeightedSources({"a": folder}, {"a": weight})
    with pytest.raises(ValueError, match="has no /"):
        WeightedSources({"a/b": folder})
