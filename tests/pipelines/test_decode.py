"""Decoding in parts equals decoding at once, and sound lasts as long as the picture."""

import pytest
import torch

from mmdiff.pipelines import decode
from mmdiff.pipelines.decode import decode_audio, decode_video
from mmdiff.values.shapes import ClipShape
from tests.pipelines.tiny import tiny_pipeline


@pytest.mark.parametrize("pixels", [1, 4 * 32 * 32, 10 * 32 * 32])
@torch.no_grad()
def test_d3_pictures_in_parts_equal_pictures_at_once(
    monkeypatch: pytest.MonkeyPatch, pixels: int
) -> None:
    pipe = tiny_pipeline()
    latents = torch.randn(3, 16, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    whole = decode_video(pipe.vae, latents, grid=pipe.latent_grid)
    monkeypatch.setattr(decode, "PIXELS_AT_ONCE", pixels)
    parts = decode_video(pipe.vae, latents, grid=pipe.latent_grid)
    assert whole.shape == (3, 3, 13, 32, 32) and (whole - parts).abs().max() <= 1e-5
    assert whole.min() >= -1 and whole.max() <= 1


@pytest.mark.parametrize("num_frames", [1, 5, 33])
@torch.no_grad()
def test_sound_is_cut_to_the_picture_after_its_pre_roll(num_frames: int) -> None:
    pipe = tiny_pipeline()
    grid = pipe.latent_grid
    latents = torch.randn(
        2, *grid.audio_shape(num_frames), generator=torch.Generator().manual_seed(0)
    )
    length = grid.num_samples_with_preroll(num_frames)
    expected = ClipShape(num_frames=num_frames).num_samples

    def sound(clip: torch.Tensor) -> torch.Tensor:
        mel = pipe.audio_vae.decode(pipe.audio_vae.unscale(clip))[:, 0]
        start = grid.preroll_samples
        return pipe.vocoder(mel).clamp(-1, 1)[:, None, start : start + expected]

    cut = decode_audio(pipe.audio_vae, pipe.vocoder, latents, grid=grid, num_samples=expected)
    assert cut.shape == (2, 1, expected) and length == expected + grid.preroll_samples
    assert torch.equal(cut, torch.cat([sound(clip) for clip in latents.split(1)]))
