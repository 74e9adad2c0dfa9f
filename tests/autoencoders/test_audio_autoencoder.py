from pathlib import Path

import pytest
import torch

from mmdiff.autoencoders.audio_autoencoder import AudioAutoencoder
from mmdiff.autoencoders.objective import AudioReconstructionObjective
from mmdiff.values.shapes import LatentGrid


@pytest.fixture
def tiny() -> AudioAutoencoder:
    torch.manual_seed(0)
    return AudioAutoencoder(fine_width=8, coarse_width=16, num_blocks=1).eval()


def sound(num_frames: int = 16) -> torch.Tensor:
    """A log-mel of silence with one stroke in it."""
    x = torch.full((2, 1, num_frames, 64), -1.0)
    x[0, :, 6:10, 20:24] = 0.5
    return x


def test_the_default_is_small() -> None:
    assert AudioAutoencoder().num_parameters() < 1_000_000


@pytest.mark.parametrize("num_frames", [4, 16, 144])
def test_shapes(tiny: AudioAutoencoder, num_frames: int) -> None:
    posterior = tiny.encode(sound(num_frames))
    assert posterior.mean.shape[1:] == tiny.latent_shape((1, num_frames, 64))
    assert tiny.decode(posterior.mode()).shape == (2, 1, num_frames, 64)


def test_agrees_with_the_arithmetic_of_the_house(tiny: AudioAutoencoder) -> None:
    grid = LatentGrid()
    mel_frames = grid.num_samples_with_preroll(33) // grid.hop_length
    assert tiny.latent_shape((1, mel_frames, grid.mel_bins)) == grid.audio_shape(33)


def test_clips_do_not_see_each_other(tiny: AudioAutoencoder) -> None:
    both = tiny(sound()).sample
    torch.testing.assert_close(both[:1], tiny(sound()[:1]).sample)


def test_a_short_sound_is_a_local_matter() -> None:
    tiny, changed = AudioAutoencoder(fine_width=8, coarse_width=16, num_blocks=1), sound(144)
    changed[:, :, :4] = 0.0
    difference = (tiny(changed).sample - tiny(sound(144)).sample).abs().amax((0, 1, 3))
    assert difference[:4].max() > 0
    assert difference[100:].max() == 0


def test_scale_and_unscale(tiny: AudioAutoencoder) -> None:
    raw = 3 * torch.randn(4, 8, 6, 16) + 2
    tiny.measure_scaling(raw)
    scaled = tiny.scale(raw)
    torch.testing.assert_close(scaled.std((0, 2, 3)), torch.ones(8))
    torch.testing.assert_close(scaled.mean((0, 2, 3)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(tiny.unscale(scaled), raw)


def test_saved_and_loaded_it_is_the_same(tiny: AudioAutoencoder, tmp_path: Path) -> None:
    tiny.measure_scaling(torch.randn(4, 8, 6, 16))
    tiny.save_pretrained(tmp_path)
    loaded = AudioAutoencoder.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(sound()), tiny(sound()), atol=0, rtol=0)
    torch.testing.assert_close(loaded.latent_std, tiny.latent_std, atol=0, rtol=0)


def test_bfloat16(tiny: AudioAutoencoder) -> None:
    tiny = tiny.to(torch.bfloat16)
    assert tiny.decode(tiny.encode(sound().bfloat16()).mode().bfloat16()).isfinite().all()


@pytest.mark.parametrize(
    ("shape", "told"), [((1, 1, 18, 64), "16"), ((1, 1, 16, 80), "64"), ((1, 2, 16, 64), "1 16")]
)
def test_a_wrong_log_mel_is_refused(tiny: AudioAutoencoder, shape: tuple, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        tiny.encode(torch.zeros(shape))


def test_impossible_mel_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="64"):
        AudioAutoencoder(mel_bins=65)


def test_learns() -> None:
    torch.manual_seed(0)
    tiny, objective = (
        AudioAutoencoder(fine_width=8, coarse_width=16),
        AudioReconstructionObjective(),
    )
    optimizer, losses = torch.optim.AdamW(tiny.parameters(), lr=5e-3), []
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        noise = torch.randn(2, 8, 4, 16, generator=generator)
        loss = objective(tiny, sound(), noise)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_without_noise_the_mean_is_judged(tiny: AudioAutoencoder) -> None:
    objective = AudioReconstructionObjective()
    nothing = objective(tiny, sound(), torch.zeros(2, 8, 4, 16))
    torch.testing.assert_close(objective(tiny, sound())["loss"], nothing["loss"])
