"""Autoencoders for tests of the latent cache."""

from pathlib import Path

import pytest
import torch

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, str]:
    torch.manual_seed(0)
    vae = VideoAutoencoder(4, (8, 8, 8), 1, (8, 8, 8), 1)
    audio = AudioAutoencoder(64, 2, fine_width=8, coarse_width=8, num_blocks=1)
    vae.measure_scaling(torch.randn(2, 4, 2, 2, 2) * 3)
    for name, component in (("vae", vae), ("audio_vae", audio)):
        component.save_pretrained(tmp_path / name)
    return {name: str(tmp_path / name) for name in ("vae", "audio_vae")}
