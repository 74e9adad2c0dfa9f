"""Latents come back as they were, and never when stale."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.posterior import Posterior
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder, to_unit_range
from mmdiff.data import encode as encode_room
from mmdiff.data import latent_cache as cache_room
from mmdiff.data import listed_clips as listed_room
from mmdiff.data.batch import ClipBatch
from mmdiff.data.clip_encoder import ClipEncoder
from mmdiff.data.clip_spec import ClipSpec
from mmdiff.data.datamodule import DataModule
from mmdiff.data.encode import encode
from mmdiff.data.latent_cache import LatentCache, StaleCache
from mmdiff.data.latent_clips import LatentClip, LatentClips
from mmdiff.data.listed_clips import ListedClips
from mmdiff.data.loader import ResumableLoader
from mmdiff.media.rejection import Reason, Rejection
from mmdiff.training.inputs import MelInput
from mmdiff.values.sample import Sample, SampleFacts
from mmdiff.values.shapes import LatentGrid
from tests.data.listed import Listed


class Clips:
    """Item i is a function of (seed, i): 5 frames of 16 x 16, and the sound of two slices without
    the pre-roll."""

    def __init__(self, length: int = 5, seed: int = 0, *, bad: tuple[int, ...] = ()) -> None:
        self.length, self.seed, self.bad = length, seed, bad

    def __len__(self) -> int:
        return self.length

    def facts(self, index: int) -> SampleFacts:
        key = f"{self.seed}/{index}"
        return SampleFacts(key, f"clip {index}", f"identity of {key}")

    def __getitem__(self, index: int) -> Sample | Rejection:
        facts = self.facts(index)
        if index in self.bad:
            return Rejection(facts.key, Reason.DAMAGED, "decode", f"{facts.key} is damaged")
        generator = Generator().manual_seed(1000 * self.seed + index)
        return Sample(
            frames=torch.randint(256, (5, 16, 16, 3), generator=generator, dtype=torch.uint8),
            waveform=torch.rand(1, 5000, generator=generator) - 0.5,
            caption=facts.caption,
            key=facts.key,
        )


class Kinds(Clips):
    """Clips of four kinds: with sound, without, sound alone, longer."""

    def __getitem__(self, index: int) -> Sample | Rejection:
        sample = super().__getitem__(index)
        assert isinstance(sample, Sample) and sample.frames is not None
        kind = index % 4
        if kind == 1:
            return replace(sample, waveform=None)
        if kind == 2:
            return replace(sample, frames=None)
        if kind == 3:
            longer = torch.cat([sample.frames, sample.frames[:4]])
            return replace(sample, frames=longer, waveform=torch.zeros(1, 9000))
        return sample


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, str]:
    torch.manual_seed(0)
    vae = VideoAutoencoder(4, (8, 8, 8), 1, (8, 8, 8), 1)
    audio = AudioAutoencoder(64, 2, fine_width=8, coarse_width=8, num_blocks=1)
    vae.measure_scaling(torch.randn(2, 4, 2, 2, 2) * 3)
    for name, component in (("vae", vae), ("audio_vae", audio)):
        component.save_pretrained(tmp_path / name)
    return {name: str(tmp_path / name) for name in ("vae", "audio_vae")}


def _encode(
    folder: Path, parts: dict[str, str], clips: Clips | None = None, **options: Any
) -> None:
    encode(
        clips or Clips(), str(folder), mel=LogMel(), batch_size=2, shard_size=2, **parts, **options
    )


def test_cache_holds_the_scaled_means(tmp_path: Path, parts: dict[str, str]) -> None:
    _encode(tmp_path / "cache", parts)
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
        _encode(folder, parts, clips)
    return encoded


def _rows(folder: Path) -> dict[str, LatentClip]:
    clips = LatentClips(str(folder))
    return {entry.key: clips[index] for index, entry in enumerate(clips.entries)}


def test_encoding_goes_on_where_it_stopped(
    tmp_path: Path, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _encode(tmp_path / "whole", parts)
    _encode(tmp_path / "cache", parts)
    cache = tmp_path / "cache"
    shard = next(s for s in LatentCache(cache).shards() if "identity of 0/2" in s.identities)
    shard.path.with_suffix(".json").unlink()
    with pytest.raises(StaleCache, match="lacks the latents of 2 clips, '0/2' first"):
        LatentClips(str(cache))
    assert _encoded(monkeypatch, cache, parts, Clips()) == [2, 3]
    ours, theirs = _rows(cache), _rows(tmp_path / "whole")
    assert list(ours) == list(theirs)
    for key, clip in ours.items():
        assert torch.equal(clip.latents["video"], theirs[key].latents["video"])
        assert torch.equal(clip.latents["audio"], theirs[key].latents["audio"])


def test_several_processes_fill_one_cache(tmp_path: Path, parts: dict[str, str]) -> None:
    _encode(tmp_path / "whole", parts, Clips(7))
    cache = tmp_path / "cache"
    _encode(cache, parts, Clips(7), rank=1, world_size=2)
    with pytest.raises(StaleCache, match="not filled yet"):
        LatentClips(str(cache))
    _encode(cache, parts, Clips(7), rank=0, world_size=2)
    ours, theirs = _rows(cache), _rows(tmp_path / "whole")
    assert list(ours) == list(theirs)
    for key, clip in ours.items():
        torch.testing.assert_close(clip.latents, theirs[key].latents, rtol=1e-3, atol=1e-3)


def test_v6_stale_latents_are_never_used(
    tmp_path: Path, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    _encode(cache, parts)

    class Backwards(Clips):
        def facts(self, index: int) -> SampleFacts:
            return super().facts(len(self) - 1 - index)

        def __getitem__(self, index: int) -> Sample | Rejection:
            return super().__getitem__(len(self) - 1 - index)

    before = _rows(cache)
    assert _encoded(monkeypatch, cache, parts, Backwards()) == []  # another order
    after = _rows(cache)
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
        _encode(cache, parts)
    _encode(cache, parts, overwrite=True)
    assert LatentClips(str(cache), components=dict(parts)).entries[0].key == "0/0"
    monkeypatch.setattr(cache_room, "SCHEMA", 4)
    with pytest.raises(StaleCache, match="has schema 3, this version reads 4"):
        LatentClips(str(cache))


def test_v6_another_mel_grid_or_size_makes_latents_anew(
    tmp_path: Path, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    _encode(cache, parts)
    mels = [LogMel(f_min=400.0), LogMel(win_length=1000), LogMel(floor=1e-3), LogMel(f_max=7000.0)]
    for mel in mels:
        with pytest.raises(StaleCache, match=r"of another mel; .*overwrite=true"):
            encode(Clips(), str(cache), mel=mel, **parts)
    encode(Clips(), str(cache), mel=mels[0], overwrite=True, **parts)
    encode(Clips(), str(tmp_path / "fresh"), mel=mels[0], **parts)
    ours, theirs = _rows(cache), _rows(tmp_path / "fresh")
    assert all(torch.equal(ours[k].latents["audio"], theirs[k].latents["audio"]) for k in ours)
    with pytest.raises(StaleCache, match="of another grid"):
        encode(Clips(), str(cache), mel=mels[0], grid=LatentGrid(frame_rate=Fraction(8)), **parts)


def test_v6_what_files_are_brought_to_is_part_of_their_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"bytes of a file")
    changes = ({}, {"height": 32}, {"width": 32}, {"num_frames": 5}, {"sample_rate": 8000})

    def identities() -> set[str]:
        listed = [ListedClips(Listed(tmp_path, ["a.mp4"]), ClipSpec(**one)) for one in changes]
        facts = [clips.facts(0) for clips in listed]
        return {one.identity for one in facts if isinstance(one, SampleFacts)}

    before = identities()
    assert len(before) == len(changes)
    monkeypatch.setattr(listed_room, "FITTING", listed_room.FITTING + 1)
    assert not before & identities()


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


def test_clips_of_another_rate_are_refused(parts: dict[str, str]) -> None:
    encoder = ClipEncoder.from_folders(parts["vae"], parts["audio_vae"], LogMel())
    sample = Clips()[0]
    assert isinstance(sample, Sample)
    for name, rate in (("sample_rate", 8000), ("frame_rate", Fraction(25))):
        batch = ClipBatch.collate([(0, replace(sample, **{name: rate}))])
        with pytest.raises(ValueError, match=rf"{name} {rate}.*data.spec.{name}=16"):
            encoder(batch)
    other = replace(sample, sample_rate=8000)
    with pytest.raises(ValueError, match="sample_rate 8000"):
        MelInput(LogMel(), preroll_samples=0)(ClipBatch.collate([(0, other)]))
    with pytest.raises(ValueError, match=r"mel.sample_rate is 8000.*16000"):
        ClipEncoder.from_folders(
            parts["vae"], parts["audio_vae"], LogMel(8000, f_max=4000.0), LatentGrid()
        )


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
    _encode(cache, parts, Clips(1))
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
    _encode(cache, parts)
    shard = next(cache.glob("shard_*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(StaleCache, match=rf"{shard.name} is damaged"):
        LatentClips(str(cache))
    with pytest.raises(StaleCache, match=rf"{shard.name} is damaged"):
        _encode(cache, parts)


@pytest.mark.parametrize("name", ["index.json", "shard"])
def test_v7_damaged_facts_are_refused(tmp_path: Path, parts: dict[str, str], name: str) -> None:
    cache = tmp_path / "cache"
    _encode(cache, parts)
    path = cache / name if name == "index.json" else next(cache.glob("shard_*.json"))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(StaleCache, match=rf"{path.name} is damaged"):
        LatentClips(str(cache))


def test_bad_clips_are_left_out_and_told(
    tmp_path: Path, parts: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(ValueError, match=r"1 of 5 clips are bad(.|\n)*damaged +0/3"):
        _encode(cache, parts, Clips(bad=(3,)))
    with pytest.raises(StaleCache, match="not filled yet"):
        LatentClips(str(cache))
    _encode(cache, parts, Clips(bad=(3,)), max_bad_fraction=0.2)
    assert [entry.key for entry in LatentClips(str(cache)).entries] == ["0/0", "0/1", "0/2", "0/4"]
    assert "left out: 0/3 is damaged" in caplog.text
    with pytest.raises(ValueError, match="2 of 2 clips are bad"):
        _encode(tmp_path / "none", parts, Clips(2, bad=(0, 1)), max_bad_fraction=1.0)


def test_clips_of_all_kinds_lie_in_buckets(tmp_path: Path, parts: dict[str, str]) -> None:
    _encode(tmp_path / "cache", parts, Kinds(8))
    clips = LatentClips(str(tmp_path / "cache"))
    assert clips.buckets == {
        "2x2x2+sound8": [0, 4],
        "2x2x2": [1, 5],
        "sound8": [2, 6],
        "3x2x2+sound12": [3, 7],
    }
    assert clips.modalities == {"video", "audio"}
    batch = clips.collate([clips[2], clips[14]])
    assert batch.latents.video is None and batch.latents.audio is not None
    assert batch.sample_ids == (2, 14)
    with pytest.raises(ValueError, match="'0/2' has audio alone, and video is asked for"):
        LatentClips(str(tmp_path / "cache"), modalities=["video"])


def test_sources_are_mixed_by_weight(tmp_path: Path, parts: dict[str, str]) -> None:
    class Sources(Kinds):
        """Six clips of the source a, two of b."""

        def facts(self, index: int) -> SampleFacts:
            facts = super().facts(index)
            return replace(facts, key=f"{'a' if index < 6 else 'b'}/{index}")

    _encode(tmp_path / "cache", parts, Sources(8))
    clips = LatentClips(str(tmp_path / "cache"), weights={"a": 1, "b": 3})
    assert clips.probabilities is not None
    of_b = [name for name in clips.buckets if name.startswith("b/")]
    assert {index for name in of_b for index in clips.buckets[name]} == {6, 7}
    assert sum(clips.probabilities[name] for name in of_b) == pytest.approx(3)
    order = DataModule(clips, 1, seed=0).order(rank=0, world_size=1)
    drawn = [numbers[0] % 8 for numbers in islice(order, 2000)]
    assert sum(index >= 6 for index in drawn) / 2000 == pytest.approx(0.75, abs=0.03)
    with pytest.raises(ValueError, match="weights are of a, and the sources of the cache are a, b"):
        LatentClips(str(tmp_path / "cache"), weights={"a": 1})


def test_a_cache_replaced_at_the_same_path_is_noticed_on_resume(
    tmp_path: Path, parts: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    def state() -> tuple[Any, ResumableLoader]:
        loader = DataModule(LatentClips(str(tmp_path / "cache")), 2, seed=0).train_dataloader()
        return loader.state_dict(), loader

    _encode(tmp_path / "cache", parts)
    before, loader = state()
    loader.load_state_dict(before)
    loader.load_state_dict({"samples": 0})  # of an older checkpoint
    assert "trained on" not in caplog.text
    shutil.rmtree(tmp_path / "cache")
    _encode(tmp_path / "cache", parts, Clips(seed=1))
    state()[1].load_state_dict(before)
    assert "not those that the checkpoint was trained on" in caplog.text
    shutil.rmtree(tmp_path / "cache")
    _encode(tmp_path / "cache", parts, precision="float32")
    with pytest.raises(StaleCache, match="not the one that the checkpoint was trained on"):
        state()[1].load_state_dict(before)


def test_latents_that_are_held_out_are_seen_on_one_side_only(
    tmp_path: Path, parts: dict[str, str]
) -> None:
    """Of all kinds, each in batches of its own, with the captions of the cache."""
    _encode(tmp_path / "cache", parts, Kinds(24))
    clips = LatentClips(str(tmp_path / "cache"), captions=lambda key, generator: "drawn")
    data = DataModule(clips, 1, seed=0, val_clips=9)
    held, rest = data.val_set, data.train_set
    assert sorted([*held.keys(), *rest.keys()]) == sorted(clips.keys())
    assert len(held) == 9 and rest.fingerprint != clips.fingerprint
    for side, caption in ((held, "clip "), (rest, "drawn")):
        for place, key in enumerate(side.keys()):
            clip = side[place]
            index = clips.keys().index(key)
            assert clip.caption.startswith(caption)
            assert all(
                torch.equal(half, clips[index].latents[n]) for n, half in clip.latents.items()
            )
    batches = [batch.sample_ids for batch in data.val_dataloader()]
    assert sorted(number for ids in batches for number in ids) == list(range(9))
    again = [
        batch.sample_ids for batch in DataModule(clips, 2, seed=5, val_clips=9).val_dataloader()
    ]
    assert len(again) < len(batches)


def test_what_does_not_fit_into_memory_is_encoded_in_parts(
    tmp_path: Path,
    parts: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _encode(tmp_path / "whole", parts)
    original = VideoAutoencoder.encode

    def narrow(self: VideoAutoencoder, x: torch.Tensor) -> Posterior:
        if len(x) > 1:
            raise torch.OutOfMemoryError
        return original(self, x)

    monkeypatch.setattr(VideoAutoencoder, "encode", narrow)
    _encode(tmp_path / "cache", parts)
    assert "2 clips at once do not fit into memory; trying 1" in caplog.text
    ours, theirs = _rows(tmp_path / "cache"), _rows(tmp_path / "whole")
    for key, clip in ours.items():
        torch.testing.assert_close(clip.latents, theirs[key].latents, rtol=1e-3, atol=1e-3)


def test_captions_are_drawn_by_number(tmp_path: Path, parts: dict[str, str]) -> None:
    _encode(tmp_path / "cache", parts)

    def draw(key: str, generator: Generator) -> str:
        return f"{key} {torch.rand(1, generator=generator).item()}"

    clips = LatentClips(str(tmp_path / "cache"), captions=draw, seed=1)
    again = LatentClips(str(tmp_path / "cache"), captions=draw, seed=1)
    assert clips[2].caption == again[2].caption != clips[7].caption
    assert clips[7].caption.startswith("0/2 ")


def test_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StaleCache, match="mmdiff encode"):
        LatentClips(str(tmp_path))
