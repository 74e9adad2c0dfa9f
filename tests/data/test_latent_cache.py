"""Latents come back as they were, and never when stale."""

from pathlib import Path

import pytest
import torch
from torch import Generator

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder, to_unit_range
from mmdiff.data import encode as encode_room
from mmdiff.data.encode import encode
from mmdiff.data.latent_cache import LatentCache, StaleCache
from mmdiff.data.latent_clips import LatentClips
from mmdiff.values.sample import Sample


class Clips:
    """Item i is a function of (seed, i): 5 frames of 16 x 16, and the sound of two slices without
    the pre-roll."""

    def __init__(self, length: int = 5, seed: int = 0) -> None:
        self.length, self.seed = length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        generator = Generator().manual_seed(1000 * self.seed + index)
        return Sample(
            frames=torch.randint(256, (5, 16, 16, 3), generator=generator, dtype=torch.uint8),
            waveform=torch.rand(1, 5000, generator=generator) - 0.5,
            caption=f"clip {index}",
            key=f"{self.seed}/{index}",
        )


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
    folder: Path, parts: dict[str, str], clips: Clips | None = None, **options: bool
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


def test_encoding_goes_on_where_it_stopped(
    tmp_path: Path, parts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _encode(tmp_path / "whole", parts)
    _encode(tmp_path / "cache", parts)
    for path in (tmp_path / "cache").glob("shard_00001*"):
        path.unlink()
    encoded: list[int] = []
    original = encode_room.ClipEncoder.forward
    monkeypatch.setattr(
        encode_room.ClipEncoder,
        "forward",
        lambda self, batch: (encoded.extend(batch.sample_ids), original(self, batch))[1],
    )
    _encode(tmp_path / "cache", parts)
    assert encoded == [2, 3]
    ours, theirs = (LatentCache(tmp_path / name).read() for name in ("cache", "whole"))
    assert ours[1] == theirs[1]
    assert torch.equal(ours[0].video, theirs[0].video)  # type: ignore[arg-type]


def test_v6_stale_latents_are_never_used(tmp_path: Path, parts: dict[str, str]) -> None:
    cache = tmp_path / "cache"
    _encode(cache, parts)
    with pytest.raises(StaleCache, match=r"0/0.*1/0"):
        _encode(cache, parts, Clips(seed=1))
    with pytest.raises(StaleCache, match="other clips"):
        _encode(cache, parts, Clips(length=4))
    VideoAutoencoder(4, (8, 8, 8), 1, (8, 8, 8), 1).save_pretrained(parts["vae"])
    with pytest.raises(StaleCache, match="vae"):
        LatentClips(str(cache), components=dict(parts))
    with pytest.raises(StaleCache, match="other autoencoders"):
        _encode(cache, parts)
    _encode(cache, parts, Clips(seed=1), overwrite=True)
    assert LatentClips(str(cache), components=dict(parts)).entries[0].key == "1/0"


def test_v7_damaged_shards_are_refused(tmp_path: Path, parts: dict[str, str]) -> None:
    cache = tmp_path / "cache"
    _encode(cache, parts)
    shard = cache / "shard_00001.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(bytes(content))
    with pytest.raises(StaleCache, match=r"shard_00001.* damaged"):
        LatentClips(str(cache))


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
