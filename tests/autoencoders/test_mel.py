import math

import pytest
import torch

from mmdiff.autoencoders.mel import LogMel


def tone(frequency: float, amplitude: float, *, samples: int = 4000) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * frequency * torch.arange(samples) / 16_000)[None]


@pytest.mark.parametrize("num_frames", [1, 4, 144])
def test_one_frame_for_every_hop(num_frames: int) -> None:
    assert LogMel()(torch.zeros(2, num_frames * 250)).shape == (2, num_frames, 64)


def test_silence_is_the_floor_exactly() -> None:
    assert (LogMel()(torch.zeros(1, 1000)) == -1).all()


@pytest.mark.parametrize("amplitude", [1e-5, 2e-5])
def test_what_is_under_the_floor_is_silence(amplitude: float) -> None:
    assert (LogMel()(tone(660, amplitude)) == -1).all()


def test_twice_the_amplitude_is_a_constant_step() -> None:
    mel = LogMel()
    middle = [mel(tone(660, amplitude))[0, 8].max() for amplitude in (0.1, 0.2, 0.4)]
    steps = middle[1] - middle[0], middle[2] - middle[1]
    expected = 2 * math.log(2) / math.log(1e4)
    torch.testing.assert_close(torch.stack(steps), torch.full((2,), expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("frequency", [330.0, 660.0, 1320.0])
def test_the_pings_of_the_world_stay_in_about_minus_one_to_one(frequency: float) -> None:
    assert 0.5 < LogMel()(tone(frequency, 0.5)).max() <= 1.3


def test_a_frame_knows_only_its_own_neighbourhood() -> None:
    mel, click = LogMel(), torch.zeros(1, 5000)
    click[0, 2500 + 125] = 0.5  # the middle of hop 10
    heard = (mel(click)[0] > -1).any(1).nonzero().flatten().tolist()
    assert 10 in heard
    assert set(heard) <= {9, 10, 11}


def test_a_delay_of_a_hop_is_a_delay_of_a_frame() -> None:
    mel, sound = LogMel(), torch.zeros(1, 5000)
    sound[:, 1000:3000] = tone(660, 0.4, samples=2000)
    torch.testing.assert_close(mel(sound.roll(250))[:, 1:], mel(sound)[:, :-1])


def test_a_broken_hop_names_the_nearest_length() -> None:
    with pytest.raises(ValueError, match="36000"):
        LogMel()(torch.zeros(1, 36_001))


@pytest.mark.parametrize("wrong", [{"win_length": 100}, {"f_max": 9000.0}, {"floor": 2.0}])
def test_impossible_settings_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LogMel(**wrong)
