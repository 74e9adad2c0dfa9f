import math

import pytest
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

from mmdiff.diffusion.noise_schedule import (
    Cosine,
    Flow,
    Linear,
    NoiseSchedule,
    named_noise_schedule,
)
from mmdiff.diffusion.parameterization import add_noise

SCHEDULES = [Flow(), Cosine(), Cosine(offset=0.008), Linear()]
TIMES = torch.linspace(0, 1, 101, dtype=torch.float64)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_starts_clean_and_only_gets_noisier(schedule: NoiseSchedule) -> None:
    assert schedule.alpha(TIMES)[0] == 1
    assert schedule.sigma(TIMES)[0] == 0
    assert (schedule.log_snr(TIMES).diff()[1:] < 0).all()
    assert schedule.log_snr(TIMES)[0] == math.inf


@pytest.mark.parametrize("schedule", SCHEDULES[:3], ids=repr)
def test_flow_and_cosine_end_in_pure_noise(schedule: NoiseSchedule) -> None:
    end = torch.ones(())
    assert schedule.alpha(end) == 0
    assert schedule.sigma(end) == pytest.approx(1)
    assert schedule.log_snr(end) == -math.inf


@pytest.mark.parametrize("schedule", SCHEDULES[1:], ids=repr)
def test_others_than_flow_preserve_variance(schedule: NoiseSchedule) -> None:
    total = schedule.alpha(TIMES) ** 2 + schedule.sigma(TIMES) ** 2
    assert torch.allclose(total, torch.ones_like(total), rtol=0, atol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_time_of_inverts_log_snr(schedule: NoiseSchedule) -> None:
    assert torch.allclose(schedule.time_of(schedule.log_snr(TIMES)), TIMES, rtol=0, atol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_time_of_takes_any_ratio(schedule: NoiseSchedule) -> None:
    extremes = torch.tensor([math.inf, 1e4, -1e4, -math.inf])
    assert schedule.time_of(extremes).tolist() == pytest.approx([0, 0, 1, 1], abs=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_derivative_is_the_slope(schedule: NoiseSchedule) -> None:
    times = TIMES[1:-1].clone().requires_grad_()
    slopes = schedule.derivative(times)
    for function, slope in zip((schedule.alpha, schedule.sigma), slopes, strict=True):
        (expected,) = torch.autograd.grad(function(times).sum(), times)
        assert torch.allclose(slope, expected, rtol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_derivative_is_finite_everywhere(schedule: NoiseSchedule) -> None:
    for slope in schedule.derivative(torch.tensor([0.0, 1e-7, 1.0])):
        assert slope.isfinite().all()


def test_flow_is_scale_noise_of_diffusers() -> None:
    theirs = FlowMatchEulerDiscreteScheduler(shift=3.0)
    clean, noise = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    timesteps = theirs.timesteps[[0, 100, 500, 900, 999]]
    expected = theirs.scale_noise(clean, timesteps, noise)
    time = timesteps[:, None] / theirs.config.num_train_timesteps
    assert torch.allclose(add_noise(clean, noise, time=time, schedule=Flow()), expected, atol=1e-6)


def test_cosine_is_add_noise_of_diffusers() -> None:
    # the betas of diffusers are cut at 0.999, which changes the very last level only
    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    clean, noise = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    steps = torch.tensor([0, 100, 500, 900, 998])
    expected = theirs.add_noise(clean, noise, steps)
    time = (steps[:, None] + 1) / 1000
    ours = add_noise(clean, noise, time=time, schedule=Cosine(offset=0.008))
    assert torch.allclose(ours, expected, atol=1e-4)


def test_linear_is_the_limit_of_add_noise_of_diffusers() -> None:
    clean, noise = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    errors = []
    for count in (1000, 10_000, 100_000):
        theirs = DDPMScheduler(count, beta_start=0.1 / count, beta_end=20 / count)
        steps = torch.tensor([0.001, 0.1, 0.5, 0.9, 1.0]).mul(count).long() - 1
        time = (steps[:, None] + 1) / count
        ours = add_noise(clean, noise, time=time, schedule=Linear())
        errors.append(float((ours - theirs.add_noise(clean, noise, steps)).abs().max()))
    assert errors[0] < 0.01
    assert errors[1] < errors[0] / 8
    assert errors[2] < 3e-4


def test_unknown_name_teaches() -> None:
    assert named_noise_schedule("cosine") == Cosine()
    with pytest.raises(ValueError, match=r"'sigmoid'.*'flow', 'cosine', 'linear'"):
        named_noise_schedule("sigmoid")
