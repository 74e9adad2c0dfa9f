from fractions import Fraction

import pytest

from mmdiff.values.shapes import ClipShape, LatentGrid


def test_default_clip_lasts_two_seconds_and_a_sixteenth() -> None:
    shape = ClipShape()
    assert shape.duration_seconds == Fraction(33, 16)
    assert shape.num_samples == 33_000


def test_fractional_rates_stay_exact() -> None:
    shape = ClipShape(num_frames=240, frame_rate=Fraction(24_000, 1001), sample_rate=48_000)
    assert shape.duration_seconds == Fraction(1001, 100)
    assert shape.num_samples == 480_480


@pytest.mark.parametrize("name", ["num_frames", "height", "width", "frame_rate", "sample_rate"])
def test_a_clip_has_positive_sides(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0"):
        ClipShape(**{name: 0})


def test_default_numbers_of_the_design() -> None:
    grid = LatentGrid()
    assert grid.video_shape(33, 64, 64) == (16, 9, 8, 8)
    assert grid.audio_shape(33) == (8, 36, 16)
    assert grid.audio_frames_per_latent_frame == 4
    assert grid.preroll_samples == 3000
    assert grid.num_samples_with_preroll(33) == 36_000


@pytest.mark.parametrize("latent_frames", [1, 2, 9, 17])
def test_frames_and_latent_frames_are_inverse(latent_frames: int) -> None:
    grid = LatentGrid()
    assert grid.latent_frames(grid.num_frames(latent_frames)) == latent_frames


@pytest.mark.parametrize("num_frames", [1, 5, 33, 65])
def test_preroll_and_clip_fill_whole_slices(num_frames: int) -> None:
    grid = LatentGrid()
    clip = ClipShape(num_frames=num_frames)
    assert grid.preroll_samples + clip.num_samples == grid.num_samples_with_preroll(num_frames)


def test_picture_and_sound_cover_the_same_time() -> None:
    grid = LatentGrid()
    half_slice = grid.slice_seconds / 2
    picture_end = grid.video_seconds(9)[-1] + 1 / grid.frame_rate
    sound_end = grid.audio_seconds(36)[-1] + Fraction(1, 2) / grid.audio_latent_rate
    assert picture_end == sound_end
    assert grid.audio_seconds(36)[0] > -2 * half_slice


@pytest.mark.parametrize(("num_frames", "nearest"), [(20, "17 or 21"), (34, "33 or 37"), (0, "1")])
def test_illegal_lengths_name_the_nearest(num_frames: int, nearest: str) -> None:
    with pytest.raises(ValueError, match=f"num_frames is {num_frames}.*{nearest}"):
        LatentGrid().latent_frames(num_frames)


@pytest.mark.parametrize(("height", "nearest"), [(60, 64), (3, 8), (-8, 8)])
def test_illegal_sizes_name_the_nearest(height: int, nearest: int) -> None:
    with pytest.raises(ValueError, match=f"height is {height}.*{nearest}"):
        LatentGrid().video_shape(33, height, 64)


def test_sound_that_does_not_divide_into_slices_names_the_nearest_rate() -> None:
    with pytest.raises(ValueError, match=r"not divide into slices.*nearest rate that does is 17"):
        _ = LatentGrid(frame_rate=Fraction(17)).audio_frames_per_latent_frame
