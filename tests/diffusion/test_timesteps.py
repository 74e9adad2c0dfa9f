from typing import get_args

import pytest
import torch

from mmdiff.diffusion.noise_schedule import Cosine, Flow, Linear, NoiseSchedule
from mmdiff.diffusion.parameterization import Parameterization, error_gain
from mmdiff.diffusion.timesteps import (
    LogitNormalDensity,
    MinSNR,
    NoWeighting,
    TimeDensity,
    UniformDensity,
    shift_time,
)

QUANTILES = torch.linspace(0, 1, 1001)
ALL_TIMES = torch.linspace(0, 1, 51, dtype=torch.float64)


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


@pytest.mark.parametrize("schedule", [Flow(), Cosine(), Linear()], ids=repr)
@pytest.mark.parametrize("kind", get_args(Parameterization))
def test_min_snr_is_one_loss_on_the_clean_signal(
    schedule: NoiseSchedule, kind: Parameterization
) -> None:
    where = {"schedule": schedule, "parameterization": kind}
    weight = MinSNR(gamma=5.0).weight(ALL_TIMES, **where)
    assert weight.isfinite().all()
    assert (weight >= 0).all()
    inner = slice(1, -1)
    on_clean = weight * error_gain(ALL_TIMES, **where)
    expected = schedule.log_snr(ALL_TIMES).exp().clamp(max=5.0)
    assert torch.allclose(on_clean[inner], expected[inner], rtol=1e-5)


def test_min_snr_formula_of_the_paper() -> None:
    snr = Cosine().log_snr(ALL_TIMES[1:-1]).exp()
    where = {"schedule": Cosine()}
    noise = MinSNR().weight(ALL_TIMES[1:-1], **where, parameterization="noise")
    v = MinSNR().weight(ALL_TIMES[1:-1], **where, parameterization="v")
    assert torch.allclose(noise, snr.clamp(max=5) / snr)
    assert torch.allclose(v, snr.clamp(max=5) / (snr + 1))


def test_no_weighting_is_one() -> None:
    weight = NoWeighting().weight(ALL_TIMES, schedule=Flow(), parameterization="velocity")
    assert torch.equal(weight, torch.ones_like(ALL_TIMES))
