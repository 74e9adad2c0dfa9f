import pytest
import torch

from mmdiff.diffusion.noise_schedule import Flow
from mmdiff.diffusion.timesteps import (
    LogitNormalDensity,
    TimeDensity,
    UniformDensity,
    shift_time,
)

QUANTILES = torch.linspace(0, 1, 1001)


@pytest.mark.parametrize("density", [UniformDensity(), LogitNormalDensity()], ids=repr)
def test_quantiles_stay_inside_and_rise(density: TimeDensity) -> None:
    times = density.time(QUANTILES)
    assert 0 < times[0] < times[-1] < 1
    assert (times.diff() > 0).all()
    assert float(times[500]) == pytest.approx(0.5, abs=1e-3)


def test_logit_normal_is_normal_in_logits() -> None:
    times = LogitNormalDensity(mean=-0.5, standard_deviation=2.0).time(QUANTILES[1:-1])
    logits = torch.logit(times.double())
    assert float(logits.mean()) == pytest.approx(-0.5, abs=0.01)
    assert float(logits.std()) == pytest.approx(2.0, abs=0.05)


def test_shift_keeps_the_ends_and_composes() -> None:
    times = QUANTILES.double()
    assert torch.equal(shift_time(times, 1.0), times)
    assert shift_time(times, 3.0)[[0, -1]].tolist() == [0, 1]
    assert (shift_time(times, 3.0)[1:-1] > times[1:-1]).all()
    assert torch.allclose(shift_time(shift_time(times, 2.0), 1.5), shift_time(times, 3.0))


def test_shift_scales_the_ratio_of_flow() -> None:
    times = QUANTILES[1:-1].double()
    shifted, plain = (Flow().log_snr(shift_time(times, shift)) for shift in (3.0, 1.0))
    assert torch.allclose(shifted, plain - 2 * torch.log(torch.tensor(3.0, dtype=torch.float64)))


def test_bad_shift_teaches() -> None:
    with pytest.raises(ValueError, match=r"shift is 0.*above 0"):
        shift_time(QUANTILES, 0)
