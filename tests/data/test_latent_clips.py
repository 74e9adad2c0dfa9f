"""Cached latents in buckets, by weight, held out, with captions drawn anew."""

import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator

from mmdiff.data.datamodule import DataModule
from mmdiff.data.latent_cache import StaleCache
from mmdiff.data.latent_clips import LatentClips
from mmdiff.data.loader import ResumableLoader
from mmdiff.values.sample import SampleFacts
from tests.data.encoded import Clips, SeveralTypes, fill


def test_clips_of_all_kinds_lie_in_buckets(tmp_path: Path, parts: dict[str, str]) -> None:
    fill(tmp_path / "cache", parts, SeveralTypes(8))
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
    class Sources(SeveralTypes):
        """Six clips of the source a, two of b."""

        def facts(self, index: int) -> SampleFacts:
            facts = super().facts(index)
            return replace(facts, key=f"{'a' if index < 6 else 'b'}/{index}")

    fill(tmp_path / "cache", parts, Sources(8))
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

    fill(tmp_path / "cache", parts)
    before, loader = state()
    loader.load_state_dict(before)
    loader.load_state_dict({"samples": 0})  # of an older checkpoint
    assert "trained on" not in caplog.text
    shutil.rmtree(tmp_path / "cache")
    fill(tmp_path / "cache", parts, Clips(seed=1))
    state()[1].load_state_dict(before)
    assert "not those that the checkpoint was trained on" in caplog.text
    shutil.rmtree(tmp_path / "cache")
    fill(tmp_path / "cache", parts, precision="float32")
    with pytest.raises(StaleCache, match="not the one that the checkpoint was trained on"):
        state()[1].load_state_dict(before)


def test_latents_that_are_held_out_are_seen_on_one_side_only(
    tmp_path: Path, parts: dict[str, str]
) -> None:
    """Of all kinds, each in batches of its own, with the captions of the cache."""
    fill(tmp_path / "cache", parts, SeveralTypes(24))
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


def test_captions_are_drawn_by_number(tmp_path: Path, parts: dict[str, str]) -> None:
    fill(tmp_path / "cache", parts)

    def draw(key: str, generator: Generator) -> str:
        return f"{key} {torch.rand(1, generator=generator).item()}"

    clips = LatentClips(str(tmp_path / "cache"), captions=draw, seed=1)
    again = LatentClips(str(tmp_path / "cache"), captions=draw, seed=1)
    assert clips[2].caption == again[2].caption != clips[7].caption
    assert clips[7].caption.startswith("0/2 ")
