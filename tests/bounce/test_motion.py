import pytest
import torch

from mmdiff.bounce.motion import RESTITUTION, fall, fall_impacts, glide, glide_impacts

TIMES = torch.linspace(0, 4, 4001, dtype=torch.float64)


@pytest.mark.parametrize("velocity", [0.45, -0.9])
def test_a_glide_touches_a_wall_exactly_at_its_impacts(velocity: float) -> None:
    impacts = glide_impacts(0.2, velocity, length=0.7, duration_seconds=4)
    seconds = torch.tensor([impact.seconds for impact in impacts], dtype=torch.float64)
    places = glide(0.2, velocity, length=0.7, times=seconds)
    assert torch.minimum(places, 0.7 - places).abs().max() < 1e-12
    path = glide(0.2, velocity, length=0.7, times=TIMES)
    assert path.min() >= 0
    assert path.max() <= 0.7
    turns = (path.diff()[1:].sign() != path.diff()[:-1].sign()).sum()
    assert int(turns) == len(impacts)


def test_a_glide_has_constant_speed_between_walls() -> None:
    path = glide(0.2, 0.45, length=0.7, times=TIMES[:1000])
    assert torch.allclose(path.diff(), torch.full((999,), 0.45e-3, dtype=torch.float64))


@pytest.mark.parametrize(("height", "gravity"), [(0.64, 3.6), (0.3, 1.2)])
def test_a_fall_is_on_the_floor_at_its_impacts_and_loses_speed(
    height: float, gravity: float
) -> None:
    impacts = fall_impacts(height, gravity, duration_seconds=4)
    seconds = torch.tensor([impact.seconds for impact in impacts], dtype=torch.float64)
    assert fall(height, gravity, times=seconds).abs().max() < 1e-6
    speeds = torch.tensor([impact.speed for impact in impacts])
    assert torch.allclose(speeds[1:] / speeds[:-1], torch.tensor(RESTITUTION))
    middle = (seconds[0] + seconds[1]) / 2
    apex = fall(height, gravity, times=middle[None])
    assert torch.allclose(apex, torch.tensor(height * RESTITUTION**2, dtype=torch.float64))


def test_a_fall_comes_to_rest_and_never_sinks() -> None:
    path = fall(0.3, 3.6, times=torch.linspace(0, 30, 500, dtype=torch.float64))
    assert path.min() == 0
    assert path[-50:].max() == 0


def test_many_falls_at_once_equal_each_alone() -> None:
    heights, gravities = torch.tensor([0.3, 0.6]).double(), torch.tensor([1.2, 3.6]).double()
    together = fall(heights[:, None], gravities[:, None], times=TIMES)
    for row, height, gravity in zip(together, heights, gravities, strict=True):
        assert torch.equal(row, fall(float(height), float(gravity), times=TIMES))
