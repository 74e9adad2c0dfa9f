"""A damaged cache is never read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mmdiff.data.latent_cache import LatentCache, StaleCache
from mmdiff.data.latent_clips import LatentClips
from tests.data.encoded import Clips, fill


def _flips(path: Path) -> Iterator[None]:
    """The file with some of its bits flipped, one at a time."""
    content = path.read_bytes()
    for place in range(0, 8 * len(content), 61):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(bytes(flipped))
        yield
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["spec.json", "shard_*.json"])
def test_v7_no_flipped_bit_of_the_facts_is_believed(
    tmp_path: Path, parts: dict[str, str], name: str
) -> None:
    cache = tmp_path / "cache"
    fill(cache, parts, Clips(1))
    before = LatentCache(cache)
    facts = before.spec(), before.entries(), [vars(shard) for shard in before.shards()]
    cures = set()
    for _ in _flips(next(cache.glob(name))):
        try:
            now = LatentCache(cache)
            after = now.spec(), now.entries(), [vars(shard) for shard in now.shards()]
        except StaleCache as error:
            cures.add("mmdiff encode" in str(error))
            continue
        assert after == facts
    assert cures == {True}


def test_v7_damaged_shards_are_refused(tmp_path: Path, parts: dict[str, str]) -> None:
    cache = tmp_path / "cache"
    fill(cache, parts)
    shard = next(cache.glob("shard_*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(StaleCache, match=rf"{shard.name} is damaged"):
        LatentClips(str(cache))
    with pytest.raises(StaleCache, match=rf"{shard.name} is damaged"):
        fill(cache, parts)


@pytest.mark.parametrize("name", ["index.json", "shard"])
def test_v7_damaged_facts_are_refused(tmp_path: Path, parts: dict[str, str], name: str) -> None:
    cache = tmp_path / "cache"
    fill(cache, parts)
    path = cache / name if name == "index.json" else next(cache.glob("shard_*.json"))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(StaleCache, match=rf"{path.name} is damaged"):
        LatentClips(str(cache))


def test_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StaleCache, match="mmdiff encode"):
        LatentClips(str(tmp_path))
