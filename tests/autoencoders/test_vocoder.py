from pathlib import Path

import pytest
import torch
from einops import rearrange

from mmdiff.autoencoders.mel import LogMel
from mmdiff.autoencoders.vocoder import Vocoder, inverse_spectrogram


@pytest.fixture
def tiny() -> Vocoder:
    torch.manual_seed(0)
    return Vocoder(width=16, hidden=32, num_blocks=1).eval()


def test_the_default_is_small() -> None:
    assert Vocoder().num_parameters() < 1_500_000


@pytest.mark.parametrize("num_frames", [1, 4, 144])
def test_exactly_a_hop_for_every_frame(tiny: Vocoder, num_frames: int) -> None:
    assert tiny(torch.zeros(2, num_frames, 64)).shape == (2, num_frames * 250)


def test_silence_is_silent_before_any_training(tiny: Vocoder) -> None:
    assert tiny(torch.full((1, 144, 64), -1.0)).abs().max() < 1e-3  # -60 dBFS


def test_louder_log_mels_are_louder(tiny: Vocoder) -> None:
    quiet, loud = (tiny(torch.full((1, 16, 64), level)).norm() for level in (-0.5, 0.0))
    assert loud > 2 * quiet


def test_loudness_is_about_right_before_any_training(tiny: Vocoder) -> None:
    waveform = 0.3 * torch.sin(2 * torch.pi * 660 / 16_000 * torch.arange(16_000))[None]
    ratio = tiny(LogMel()(waveform)).norm() / waveform.norm()
    assert 0.3 < ratio < 3


def test_wild_log_mels_stay_finite(tiny: Vocoder) -> None:
    assert tiny(torch.full((1, 16, 64), 50.0)).isfinite().all()


def test_clips_do_not_see_each_other(tiny: Vocoder) -> None:
    log_mel = torch.randn(3, 8, 64)
    torch.testing.assert_close(tiny(log_mel)[1:2], tiny(log_mel[1:2]), atol=1e-5, rtol=1e-5)


def test_saved_and_loaded_it_is_the_same(tiny: Vocoder, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    loaded, log_mel = Vocoder.from_pretrained(tmp_path), torch.randn(1, 8, 64)
    torch.testing.assert_close(loaded(log_mel), tiny(log_mel), atol=0, rtol=0)
    assert loaded.config.output_sampling_rate == 16_000


def test_bfloat16(tiny: Vocoder) -> None:
    sound = tiny.to(torch.bfloat16)(torch.zeros(1, 8, 64))
    assert sound.dtype == torch.float32
    assert sound.isfinite().all()


def test_a_window_shorter_than_a_hop_is_refused() -> None:
    with pytest.raises(ValueError, match="500"):
        Vocoder(n_fft=128)


def test_the_inverse_undoes_the_forward_transform() -> None:
    """Frames around the middles of the hops, transformed by hand, give back the sound."""
    waveform, window = torch.randn(2, 4000), torch.hann_window(512)
    frames = torch.nn.functional.pad(waveform, (131, 131)).unfold(-1, 512, 250)
    spectrum = torch.fft.rfft(frames * window)
    sound = inverse_spectrogram(spectrum, 250)
    inside = slice(250, -250)  # the empty frames beyond the ends damp the edges
    torch.testing.assert_close(sound[:, inside], waveform[:, inside], atol=1e-5, rtol=1e-4)


def test_a_click_stays_where_it_is() -> None:
    waveform, window = torch.zeros(1, 4000), torch.hann_window(512)
    waveform[0, 2100] = 1.0
    frames = torch.nn.functional.pad(waveform, (131, 131)).unfold(-1, 512, 250)
    sound = inverse_spectrogram(torch.fft.rfft(frames * window), 250)
    assert rearrange(sound.abs(), "1 samples -> samples").argmax() == 2100
