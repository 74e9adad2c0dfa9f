import math
from fractions import Fraction

import pytest
import torch

from mmdiff.media.clip import Clip
from tests.media.corpus import CorpusFile, make_corpus


def _small_clip(
    num_frames: int = 17,
    *,
    height: int = 64,
    width: int = 64,
    fps: Fraction = Fraction(16),
    sample_rate: int | None = 16_000,
    channels: int = 1,
) -> Clip:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frames = torch.full((num_frames, height, width, 3), 20, dtype=torch.uint8)
    for index in range(num_frames):
        centre = width * (0.5 + 0.3 * math.sin(index / 4))
        disc = (columns - centre) ** 2 + (rows - height / 2) ** 2 < (height / 5) ** 2
        frames[index][disc] = torch.tensor([220, 60, 40], dtype=torch.uint8)
    if sample_rate is None:
        return Clip(frames, fps)
    seconds = torch.arange(round(num_frames / fps * sample_rate)) / sample_rate
    pings = 0.5 * torch.sin(2 * math.pi * 880 * seconds) * torch.exp(-6 * (seconds % 0.5))
    gains = torch.linspace(1.0, 0.5, channels)[:, None]
    return Clip(frames, fps, gains * pings, sample_rate)


def _psnr(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    error = (ours.double() - theirs.double()).square().mean().clamp_min(1e-9)
    return float(10 * torch.log10(255**2 / error))


@pytest.fixture(scope="session")
def small_clip():
    """Makes a clip: a red disc that swings, and pings."""
    return _small_clip


@pytest.fixture(scope="session")
def psnr():
    return _psnr


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> dict[str, CorpusFile]:
    """Files by name, each with what must become of it."""
    files = make_corpus(tmp_path_factory.mktemp("corpus"))
    return {file.name: file for file in files}
