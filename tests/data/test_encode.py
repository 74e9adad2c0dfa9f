"""A cache holds what the autoencoders make, whoever fills it and however often."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder, to_unit_range
from mmdiff.data import encode as encode_room
from mmdiff.data import latent_cache as cache_room
from mmdiff.data.encode import encode
from mmdiff.data.latent_cache import LatentCache, StaleCache
from mmdiff.data.latent_clips import LatentClips
from mmdiff.media.rejection import Rejection
from mmdiff.values.sample import Sample, SampleFacts
from mmdiff.values.shapes import LatentGrid
from tests.data.encoded import Clips, fill, rows


def test_cache_holds_the_scaled_means(tmp_path: Path, parts: dict[str, str]) -> None:
    fill(tmp_path / "cache", parts)
    clips = LatentClips(str(tmp_path / "cache"), components=dict(parts))
    batch = clips.collate([clips[3], clips[9]])
    vae = VideoAutoencoder.from_pretrained(parts["vae"])
    wanted = vae.scale(vae.encode(to_unit_range(Clips()[3].frames[None])).mode())
    assert batch.latents.video is not None and batch.latents.audio is not None
    torch.testing.assert_close(batch.latents.video[:1].float(), wanted, rtol=2e-3, atol=2e-3)
    assert batch.latents.audio.shape == (2, 2, 8, 16)
    assert batch.captions == ("clip 3", "clip 4") and batch.sample_ids == (3, 9)


def _encoded(
    monkeypatch: pytest.MonkeyPatch, folder: Path, parts: dict[str, str], clips: Clips
) -> list[int]:
    """Which clips are encoded to fill the cache."""
    encoded: list[int] = []
    original = encode_room.ClipEncoder.forward
    with monkeypatch.context() as context:
        context.setattr(
            encode_room.ClipEncoder,
            "forward",
            lambda self, batch: (encoded.extend(batch.sample_ids), original(self, batch))[1],
        )
        fill(folder, parts, clips)
    return encoded


def test_encoding_goes_on_where_it_stopped(
    tmp_path: Path, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "whole", parts)
    fill(tmp_path / "cache", parts)
    cache = tmp_path / "cache"
    shard = next(s for s in LatentCache(cache).shards() if "identity of 0/2" in s.identities)
    shard.path.with_suffix(".json").unlink()
    with pytest.raises(StaleCache, match="lacks the latents of 2 clips, '0/2' first"):
        LatentClips(str(cache))
    assert _encoded(monkeypatch, cache, parts, Clips()) == [2, 3]
    ours, theirs = rows(cache), rows(tmp_path / "whole")
    assert list(ours) == list(theirs)
    for key, clip in ours.items():
        assert torch.equal(clip.latents["video"], theirs[key].latents["video"])
        assert torch.equal(clip.latents["audio"], theirs[key].latents["audio"])


def test_several_processes_fill_one_cache(tmp_path: Path, parts: dict[str, str]) -> None:
    fill(tmp_path / "whole", parts, Clips(7))
    cache = tmp_path / "cache"
    fill(cache, parts, Clips(7), rank=1, world_size=2)
    with pytest.raises(StaleCache, match="not filled yet"):
        LatentClips(str(cache))
    fill(cache, parts, Clips(7), rank=0, world_size=2)
    ours, theirs = rows(cache), rows(tmp_path / "whole")
    assert list(ours) == list(theirs)
    for key, clip in ours.items():
        torch.testing.assert_close(clip.latents, theirs[key].latents, rtol=1e-3, atol=1e-3)


def test_v6_stale_latents_are_never_used(
    tmp_path: Path, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    fill(cache, parts)

    class Backwards(Clips):
        def facts(self, index: int) -> SampleFacts:
            return super().facts(len(self) - 1 - index)

        def __getitem__(self, index: int) -> Sample | Rejection:
            return super().__getitem__(len(self) - 1 - index)

    before = rows(cache)
    assert _encoded(monkeypatch, cache, parts, Backwards()) == []  # another order
    after = rows(cache)
    assert list(after) == list(before)[::-1]
    assert all(torch.equal(after[k].latents["video"], before[k].latents["video"]) for k in after)

    class Renamed(Clips):
        def facts(self, index: int) -> SampleFacts:
            return replace(super().facts(index), caption="another caption")

    assert _encoded(monkeypatch, cache, parts, Renamed()) == []  # another caption
    assert LatentClips(str(cache))[0].caption == "another caption"

    class Replaced(Clips):
        def facts(self, index: int) -> SampleFacts:
            facts = super().facts(index)
            return replace(facts, identity="new") if index == 1 else facts

    assert _encoded(monkeypatch, cache, parts, Replaced()) == [1]  # another file by that name
    assert _encoded(monkeypatch, cache, parts, Clips(seed=1)) == [0, 1, 2, 3, 4]  # other clips
    assert LatentClips(str(cache)).entries[0].key == "1/0"

    VideoAutoencoder(4, (8, 8, 8), 1, (8, 8, 8), 1).save_pretrained(parts["vae"])
    with pytest.raises(StaleCache, match="vae"):  # another autoencoder
        LatentClips(str(cache), components=dict(parts))
    with pytest.raises(StaleCache, match="other autoencoders"):
        fill(cache, parts)
    fill(cache, parts, overwrite=True)
    assert LatentClips(str(cache), components=dict(parts)).entries[0].key == "0/0"
    monkeypatch.setattr(cache_room, "SCHEMA", 4)
    with pytest.raises(StaleCache, match="has schema 3, this version reads 4"):
        LatentClips(str(cache))


def test_v6_another_mel_grid_or_size_makes_latents_anew(
    tmp_path: Path, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    fill(cache, parts)
    mels = [LogMel(f_min=400.0), LogMel(win_length=1000), LogMel(floor=1e-3), LogMel(f_max=7000.0)]
    for mel in mels:
        with pytest.raises(StaleCache, match=r"of another mel; .*overwrite=true"):
            encode(Clips(), str(cache), mel=mel, **parts)
    encode(Clips(), str(cache), mel=mels[0], overwrite=True, **parts)
    encode(Clips(), str(tmp_path / "fresh"), mel=mels[0], **parts)
    ours, theirs = rows(cache), rows(tmp_path / "fresh")
    assert all(torch.equal(ours[k].latents["audio"], theirs[k].latents["audio"]) for k in ours)
    with pytest.raises(StaleCache, match="of another grid"):
        encode(Clips(), str(cache), mel=mels[0], grid=LatentGrid(frame_rate=Fraction(8)), **parts)


@pytest.mark.parametrize(
    "argument, value",
    [
        ("max_bad_fraction", 5),
        ("batch_size", 0),
        ("timeout_seconds", 0),
        ("folder", ""),
    ],
)
def test_numbers_out_of_range_are_told(
    tmp_path: Path, parts: dict[str, str], argument: str, value: object
) -> None:
    arguments = {"folder": str(tmp_path / "cache"), "mel": LogMel(), **parts, argument: value}
    with pytest.raises(ValueError, match=f"{argument} is "):
        encode(Clips(), **arguments)


def test_bad_clips_are_left_out_and_told(
    tmp_path: Path, parts: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(ValueError, match=r"1 of 5 clips are bad(.|\n)*damaged +0/3"):
        fill(cache, parts, Clips(bad=(3,)))
    with pytest.raises(StaleCache, match="not filled yet"):
        LatentClips(str(cache))
    fill(cache, parts, Clips(bad=(3,)), max_bad_fraction=0.2)
    assert [entry.key for entry in LatentClips(str(cache)).entries] == ["0/0", "0/1", "0/2", "0/4"]
    assert "left out: 0/3 is damaged" in caplog.text
    with pytest.raises(ValueError, match="2 of 2 clips are bad"):
        fill(tmp_path / "none", parts, Clips(2, bad=(0, 1)), max_bad_fraction=1.0)
