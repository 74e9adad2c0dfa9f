from typing import get_args

import pytest
import torch

from mmdiff.diffusion.noise_schedule import Cosine, Flow, Linear, NoiseSchedule
from mmdiff.diffusion.parameterization import (
    Parameterization,
    add_noise,
    check_parameterization,
    error_gain,
    to_clean,
    to_prediction,
)

SCHEDULES = [Flow(), Cosine(), Cosine(offset=0.008), Linear()]
KINDS = get_args(Parameterization)
CLEAN, NOISE = torch.randn(2, 9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
TIMES = torch.linspace(0.02, 0.98, 9, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_prediction_and_back_is_the_identity(
    schedule: NoiseSchedule, kind: Parameterization
) -> None:
    where = {"time": TIMES, "schedule": schedule, "parameterization": kind}
    noisy = add_noise(CLEAN, NOISE, time=TIMES, schedule=schedule)
    prediction = to_prediction(CLEAN, NOISE, **where)
    assert torch.allclose(to_clean(prediction, noisy, **where), CLEAN, atol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_given_tokens_come_back_exactly(schedule: NoiseSchedule, kind: Parameterization) -> None:
    where = {"time": torch.zeros(1), "schedule": schedule, "parameterization": kind}
    any_prediction = CLEAN if kind == "clean" else NOISE
    assert torch.allclose(to_clean(any_prediction, CLEAN, **where), CLEAN, rtol=1e-12)
    assert to_prediction(CLEAN, NOISE, **where).isfinite().all()


@pytest.mark.parametrize("kind", ["clean", "v", "velocity"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_pure_noise_is_finite(schedule: NoiseSchedule, kind: Parameterization) -> None:
    where = {"time": torch.ones(1), "schedule": schedule, "parameterization": kind}
    assert to_clean(to_prediction(CLEAN, NOISE, **where), NOISE, **where).isfinite().all()


def test_flow_velocity_is_noise_minus_clean() -> None:
    velocity = to_prediction(CLEAN, NOISE, time=TIMES, schedule=Flow(), parameterization="velocity")
    assert torch.equal(velocity, NOISE - CLEAN)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_error_gain_is_the_ratio_of_squared_errors(
    schedule: NoiseSchedule, kind: Parameterization
) -> None:
    where = {"time": TIMES, "schedule": schedule, "parameterization": kind}
    noisy = add_noise(CLEAN, NOISE, time=TIMES, schedule=schedule)
    prediction = to_prediction(CLEAN, NOISE, **where)
    error = to_clean(prediction + 0.1, noisy, **where) - CLEAN
    assert torch.allclose(0.1**2 / error[:, :1] ** 2, error_gain(**where), rtol=1e-6)


def test_unknown_name_teaches() -> None:
    with pytest.raises(ValueError, match=r"'epsilon'.*'noise', 'clean', 'v', 'velocity'"):
        check_parameterization("epsilon")
