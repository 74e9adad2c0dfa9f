"""Clips become latents at the rates of their grid, in as many parts as memory needs."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.posterior import Posterior
from mmdiff.autoencoders.video_autoencoder import VideoAutoencoder
from mmdiff.data.batch import ClipBatch
from mmdiff.data.clip_encoder import ClipEncoder
from mmdiff.training.inputs import MelInput
from mmdiff.values.sample import Sample
from mmdiff.values.shapes import LatentGrid
from tests.data.encoded import Clips, fill, rows


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


def test_what_does_not_fit_into_memory_is_encoded_in_parts(
    tmp_path: Path,
    parts: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(tmp_path / "whole", parts)
    original = VideoAutoencoder.encode

    def narrow(self: VideoAutoencoder, x: torch.Tensor) -> Posterior:
        if len(x) > 1:
            raise torch.OutOfMemoryError
        return original(self, x)

    monkeypatch.setattr(VideoAutoencoder, "encode", narrow)
    fill(tmp_path / "cache", parts)
    assert "2 clips at once do not fit into memory; trying 1" in caplog.text
    ours, theirs = rows(tmp_path / "cache"), rows(tmp_path / "whole")
    for key, clip in ours.items():
        torch.testing.assert_close(clip.latents, theirs[key].latents, rtol=1e-3, atol=1e-3)
