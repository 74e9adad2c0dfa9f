from dataclasses import dataclass

import pytest
import torch

from mmdiff.guidance.energy import Energy, EnergyInput, posterior_deviation
from mmdiff.values.latents import ClipLatents
from tests.guidance.tiny_decode import TinyDecode, known, latents


@dataclass(frozen=True)
class Square(Energy):
    """Distance of the media from a constant."""

    @property
    def modalities(self):
        return ("video", "audio")

    def energy(self, clean, inputs):
        frames, log_mel = inputs.frames(clean), inputs.log_mel(clean)
        return (frames - 0.3).square().mean((1, 2, 3, 4)) + log_mel.square().mean((1, 2, 3))


def test_scale_0_is_exactly_nothing_and_decodes_nothing():
    clean = latents()
    told = known(clean)
    slope = Square(0.0).slope(clean, told)
    assert not slope.video.any() and not slope.audio.any()
    assert told.decode.calls == []


@pytest.mark.parametrize("time", [0.0, 0.1, 0.9])
def test_outside_of_its_interval_it_is_exactly_nothing(time):
    clean = latents()
    told = known(clean, time)
    slope = Square(1.0, interval=(0.2, 0.8)).slope(clean, told)
    assert not slope.video.any() and not slope.audio.any()
    assert told.decode.calls == []


@pytest.mark.parametrize("time", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_the_scale_is_in_deviations_of_the_estimate_whatever_the_unit_of_the_energy(time, unit):
    @dataclass(frozen=True)
    class InUnit(Square):
        def energy(self, clean, inputs):
            return unit * super().energy(clean, inputs)

    clean = latents(rows=3).map(lambda half: 2 * half)
    slope = InUnit(0.2, audio_scale=0.4, interval=(0, 1)).slope(clean, known(clean, time))
    for half, moved, scale in ((clean.video, slope.video, 0.2), (clean.audio, slope.audio, 0.4)):
        for row, step in zip(half, moved, strict=True):
            length = float(step.square().mean().sqrt())
            decay = time / (time**2 + (1 - time) ** 2) ** 0.5
            assert length == pytest.approx(scale * decay * float(row.std()), rel=1e-6)


def test_going_down_it_lowers_the_energy():
    clean = latents()
    told = known(clean)
    lower = clean.zip(Square(0.1).slope(clean, told), torch.sub)
    energy = Square(0.1)
    assert (energy.energy(lower, told) < energy.energy(clean, told)).all()


def test_rows_do_not_depend_on_each_other_and_more_rows_than_at_once_are_taken():
    clean = latents(rows=6)
    whole = Square(0.1).slope(clean, known(clean))
    for row in range(6):
        alone = clean[row : row + 1]
        single = Square(0.1).slope(alone, known(alone))
        torch.testing.assert_close(whole.video[row : row + 1], single.video)
        torch.testing.assert_close(whole.audio[row : row + 1], single.audio)


def test_what_is_given_stays():
    clean = latents()
    time = torch.full((2, 1, 5, 1, 1), 0.5, dtype=torch.float64)
    time[:, :, 0] = 0
    told = EnergyInput(ClipLatents(time, torch.zeros(2, 1, 1, 1)), TinyDecode())
    slope = Square(0.1).slope(clean, told)
    assert not slope.video[:, :, 0].any() and slope.video[:, :, 1:].all()
    assert not slope.audio.any()


def test_a_clip_without_the_halves_that_it_measures_is_left_alone():
    clean = ClipLatents(video=latents().video)
    assert not Square(0.1).slope(clean, known(clean)).video.any()


def test_an_energy_without_a_slope_moves_nothing_and_gives_no_nan():
    @dataclass(frozen=True)
    class Flat(Square):
        def energy(self, clean, inputs):
            return 0 * super().energy(clean, inputs)

    clean = latents()
    slope = Flat(0.1).slope(clean, known(clean))
    assert not slope.video.any() and not slope.audio.any()


def test_it_works_where_gradients_are_off():
    clean = latents()
    with torch.no_grad():
        slope = Square(0.1).slope(clean, known(clean))
    assert slope.video.any() and not slope.video.requires_grad


def test_the_deviation_is_that_of_the_posterior_of_unit_data():
    time = torch.linspace(0.05, 1, 20)
    # precision of data and of a measurement (1 - t) x + t e add up
    closed = (1 + ((1 - time) / time) ** 2) ** -0.5
    assert torch.allclose(posterior_deviation(time), closed)
    assert posterior_deviation(torch.tensor(0.0)) == 0


@pytest.mark.parametrize("scale", [-1.0, float("nan"), "much", True])
def test_a_scale_that_is_none_is_refused_by_name(scale):
    with pytest.raises((TypeError, ValueError), match="scale is"):
        Square(scale)
