"""Training from the cache is training with encoding on the fly."""

from pathlib import Path

import pytest
import torch

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.data.clips import NumberedClips
from mmdiff.data.datamodule import DataModule
from mmdiff.data.encode import encode
from mmdiff.data.encoded_clips import EncodedClips
from mmdiff.data.latent_clips import LatentClips
from mmdiff.values.shapes import ClipShape
from mmdiff.world.dataset import BounceDataset

SHAPE = ClipShape(5, 16, 16)


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, str]:
    torch.manual_seed(0)
    VideoAutoencoder(4, (8, 8, 8), 1, (8, 8, 8), 1).save_pretrained(tmp_path / "vae")
    audio = AudioAutoencoder(64, 2, fine_width=8, coarse_width=8, num_blocks=1)
    audio.save_pretrained(tmp_path / "audio_vae")
    return {name: str(tmp_path / name) for name in ("vae", "audio_vae")}


def test_the_cache_gives_what_encoding_on_the_fly_gives(
    tmp_path: Path, parts: dict[str, str]
) -> None:
    clips = BounceDataset(7, seed=3, shape=SHAPE)
    mel, folder = LogMel(), str(tmp_path / "cache")
    encode(clips, folder, mel=mel, batch_size=3, shard_size=4, precision="float32", **parts)
    cached = DataModule(LatentClips(folder), 2, seed=5).train_dataloader()
    encoded = EncodedClips(NumberedClips(clips), mel=mel, **parts)
    fresh = DataModule(encoded, 2, seed=5).train_dataloader()
    for _, ours, theirs in zip(range(6), cached, fresh, strict=False):
        assert ours.sample_ids == theirs.sample_ids and ours.captions == theirs.captions
        for name in ("video", "audio"):
            one, two = ours.latents.get(name), theirs.latents.get(name)
            assert one.dtype == two.dtype == torch.float32
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_precision_is_that_of_the_cache(tmp_path: Path, parts: dict[str, str]) -> None:
    clips = BounceDataset(2, seed=3, shape=SHAPE)
    encoded = EncodedClips(NumberedClips(clips), mel=LogMel(), precision="float16", **parts)
    batch = encoded.collate([encoded[0], encoded[1]])
    assert batch.latents.video.dtype == torch.float16
    with pytest.raises(ValueError, match="precision is float8; possible are float16, float32"):
        EncodedClips(NumberedClips(clips), mel=LogMel(), precision="float8", **parts)
