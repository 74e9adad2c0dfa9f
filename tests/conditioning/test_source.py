"""What an image, an array or a file says of itself, by way of a condition: right, and with a
warning."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from mmdiff.conditioning.paint_mask import painted_pixels
from mmdiff.conditioning.source import ClipSource, load, load_image
from tests.conditioning.pooling import GRID

NAME = "image of FirstFrame"


def _loaded(value) -> tuple[torch.Tensor, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = load_image(NAME, value)[0]
    return image, [str(warning.message) for warning in caught]


def _clear_and_red() -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4)).astype(np.uint8)
    pixels[..., 3] = 0
    pixels[:, 4:] = (255, 0, 0, 255)
    return pixels


WHITE_AND_RED = np.full((8, 8, 3), 255, np.uint8)
WHITE_AND_RED[:, 4:] = (255, 0, 0)


@pytest.mark.parametrize("way", ["path", "image", "array", "tensor"])
def test_transparency_is_on_white_and_reported_in_every_way_in(tmp_path, way):
    pixels = _clear_and_red()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    ways = {
        "path": tmp_path / "a.png",
        "image": Image.open(tmp_path / "a.png"),
        "array": pixels,
        "tensor": torch.from_numpy(pixels),
    }
    picture, warned = _loaded(ways[way])
    assert np.array_equal(picture.numpy(), WHITE_AND_RED)
    assert warned == [f"{NAME}: transparency shown on white"]


def test_an_image_is_turned_and_deep_as_its_file_is(tmp_path):
    gray = (np.arange(48, dtype=np.uint16).reshape(6, 8)) * 1000
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(gray).save(tmp_path / "a.png", exif=exif)
    by_path, _ = _loaded(tmp_path / "a.png")
    by_image, _ = _loaded(Image.open(tmp_path / "a.png"))
    assert torch.equal(by_path, by_image)
    assert np.array_equal(by_path[..., 0].numpy(), np.rot90(gray // 257, -1))


def test_an_image_of_floats_is_refused_by_name():
    with pytest.raises(ValueError, match=rf"{NAME}: .* the kind 'F'; save it with 8 or 16 bits"):
        load(NAME, Image.fromarray(np.zeros((8, 8), np.float32)))


def test_an_animation_is_a_clip_of_all_its_frames_and_its_image_of_the_one_it_is_at(tmp_path):
    images = [Image.new("RGB", (16, 16), (level, 0, 0)) for level in (10, 60, 110, 160)]
    path = tmp_path / "a.webp"
    images[0].save(path, save_all=True, append_images=images[1:], duration=62.5, lossless=True)
    for given in (path, Image.open(path)):
        frames = ClipSource.of("clip of GivenVideo", given).frames(GRID)
        assert frames[:, 0, 0, 0].tolist()[:4] == [10, 60, 110, 160]
    image = Image.open(path)
    image.seek(2)
    assert _loaded(image)[0][0, 0, 0] == 110


def test_a_mask_with_transparency_is_refused(tmp_path):
    Image.fromarray(_clear_and_red()).save(tmp_path / "mask.png")
    with (
        pytest.warns(UserWarning, match="transparency"),
        pytest.raises(ValueError, match="transparent in parts; make it opaque"),
    ):
        painted_pixels(tmp_path / "mask.png", num_frames=1, height=8, width=8)


def test_six_channels_are_mixed_by_their_layout_and_reported():
    wave = np.zeros((6, 16_000), np.float32)
    wave[2], wave[3] = 0.5, 0.9  # centre, low frequency effects
    held = ClipSource.of("clip of GivenAudio", wave, sample_rate=GRID.sample_rate)
    with pytest.warns(UserWarning, match=r"has 6 channels \(5\.1\); they are mixed into one"):
        mono = held.waveform(GRID)
    torch.testing.assert_close(mono, torch.full((1, 16_000), 0.5 * 0.5**0.5))


def test_samples_that_are_integers_are_refused_with_what_to_divide_by():
    wave = np.zeros((1, 16_000), np.int16)
    with pytest.raises(ValueError, match="divide them by 32768"):
        ClipSource.of("clip of GivenAudio", wave).clip(GRID)


def test_a_sample_rate_that_would_ask_for_terabytes_is_refused():
    wave = np.zeros((1, 16_000), np.float32)
    with pytest.raises(ValueError, match="sample_rate is 2147483647; at most 768000"):
        ClipSource.of("clip of GivenAudio", wave, sample_rate=2**31 - 1).waveform(GRID)


def test_a_rate_that_shares_no_factor_with_the_models_costs_no_gigabytes():
    wave = torch.sin(torch.arange(44_101) * 440 * 2 * torch.pi / 44_101)[None] / 2
    held = ClipSource.of("clip of GivenAudio", wave, sample_rate=44_101)
    with pytest.warns(UserWarning, match="resampled"):
        assert abs(held.waveform(GRID).shape[1] - GRID.sample_rate) <= 1
