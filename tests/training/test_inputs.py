"""Training from a cache is training with encoding on the fly."""

from pathlib import Path

import pytest
import torch

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.bounce.dataset import BounceDataset
from mmdiff.data.clips import NumberedClips
from mmdiff.data.datamodule import DataModule
from mmdiff.data.encode import encode
from mmdiff.data.latent_clips import LatentClips
from mmdiff.training.inputs import LatentsInput
from mmdiff.values.shapes import ClipShape
from tests.training.tiny_diffusion import tiny_diffusion

SHAPE = ClipShape(5, 16, 16)
CPU = torch.device("cpu")


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
    fresh = DataModule(NumberedClips(clips), 2, seed=5).train_dataloader()
    inputs = LatentsInput(**parts, mel=mel)
    for _, ours, clip_batch in zip(range(6), cached, fresh, strict=False):
        with torch.autocast("cpu", torch.bfloat16):  # of the trainer: not of the autoencoders
            theirs = inputs(clip_batch, CPU)
        assert inputs(ours, CPU) is ours
        assert ours.sample_ids == theirs.sample_ids and ours.captions == theirs.captions
        for name in ("video", "audio"):
            one, two = ours.latents.get(name), theirs.latents.get(name)
            assert one.dtype == two.dtype == torch.float32
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_the_weights_of_the_autoencoders_are_no_part_of_what_is_trained(
    parts: dict[str, str],
) -> None:
    with_inputs = tiny_diffusion(inputs=LatentsInput(**parts, mel=LogMel()))
    assert list(with_inputs.state_dict()) == list(tiny_diffusion().state_dict())
    clip = BounceDataset(1, seed=3, shape=SHAPE)[0]
    batch = NumberedClips([clip]).collate([(0, clip)])
    assert with_inputs.latents_of(batch).latents.video.shape == (1, 4, 2, 2, 2)
    assert list(with_inputs.state_dict()) == list(tiny_diffusion().state_dict())


def test_clips_without_autoencoders_are_told() -> None:
    clip = BounceDataset(1, seed=3, shape=SHAPE)[0]
    batch = NumberedClips([clip]).collate([(0, clip)])
    with pytest.raises(ValueError, match="these are clips; give latents of a cache"):
        tiny_diffusion().training_step(batch, 0)
