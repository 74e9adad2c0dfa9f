"""Decoding in parts equals decoding at once, in any batch; the grid is that of the components."""

from types import SimpleNamespace

import pytest
import torch

from mmdiff.pipelines import codec
from mmdiff.pipelines.codec import decode_audio, decode_video, grid_of
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import ClipShape, LatentGrid
from tests.pipelines.tiny import tiny_pipeline


@pytest.mark.parametrize("pixels", [1, 4 * 32 * 32, 10 * 32 * 32])
@torch.no_grad()
def test_d3_frames_in_parts_equal_frames_at_once(
    monkeypatch: pytest.MonkeyPatch, pixels: int
) -> None:
    pipe = tiny_pipeline()
    latents = torch.randn(3, 16, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    whole = decode_video(pipe.vae, latents, grid=pipe.latent_grid)
    monkeypatch.setattr(codec, "PIXELS_AT_ONCE", pixels)
    parts = decode_video(pipe.vae, latents, grid=pipe.latent_grid)
    assert whole.shape == (3, 3, 13, 32, 32) and (whole - parts).abs().max() <= 1e-5
    assert whole.min() >= -1 and whole.max() <= 1


@pytest.mark.parametrize("num_frames", [1, 5, 33])
@torch.no_grad()
def test_audio_is_cut_to_the_video_after_its_pre_roll(num_frames: int) -> None:
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


@torch.no_grad()
def test_d2_equal_latents_are_decoded_to_equal_bits_in_any_batch() -> None:
    pipe, generator = tiny_pipeline(), torch.Generator().manual_seed(0)
    video = torch.randn(3, 16, 3, 4, 4, generator=generator)
    audio = torch.randn(3, *pipe.latent_grid.audio_shape(9), generator=generator)
    latents = ClipLatents(video, audio)
    whole, one = (pipe.decode_latents(latents[rows], 9) for rows in (slice(None), slice(1, 2)))
    assert torch.equal(whole.video[1:2], one.video) and torch.equal(whole.audio[1:2], one.audio)


def test_the_grid_is_what_the_components_say() -> None:
    pipe = tiny_pipeline()
    assert grid_of(pipe.vae, pipe.audio_vae, pipe.vocoder, frame_rate=16.0) == LatentGrid()
    assert grid_of(None, None, None, frame_rate=16.0) == LatentGrid()
    vae = SimpleNamespace(config={"time_compression": 8, "space_compression": 32})
    grid = grid_of(vae, pipe.audio_vae, pipe.vocoder, frame_rate=32.0)
    assert (grid.time_compression, grid.space_compression, grid.frame_rate) == (8, 32, 32)
    with pytest.raises(ValueError, match="do not divide"):
        grid_of(vae, pipe.audio_vae, pipe.vocoder, frame_rate=24.0)
