import pytest
import torch
from diffusers.guiders import ClassifierFreeZeroStarGuidance

from mmdiff.diffusion.noise_schedule import Cosine, Flow, Linear, NoiseSchedule
from mmdiff.diffusion.parameterization import to_clean
from mmdiff.guidance.classifier_free import ClassifierFree
from mmdiff.guidance.moment import Moment
from mmdiff.guidance.zero_star import ClassifierFreeZeroStar

# velocities, weaker velocities, latents
STRONG, WEAK, NOISY = torch.randn(3, 2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
ONES = torch.ones(2, 1, 1, 1, 1)
SCHEDULES = [Flow(), Cosine(), Linear()]


def moment(time: float, *, call: int = 5, schedule: NoiseSchedule | None = None) -> Moment:
    return Moment.of(NOISY, time * ONES, noise_schedule=schedule or Flow(), call=call)


def clean(velocity: torch.Tensor, time: float) -> torch.Tensor:
    return to_clean(velocity, NOISY, time=time * ONES, schedule=Flow(), parameterization="velocity")


@pytest.mark.parametrize("call", [0, 1, 2])
@pytest.mark.parametrize("time", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("scale", [1.5, 4.0])
def test_it_is_the_guider_of_diffusers(scale: float, time: float, call: int) -> None:
    theirs = ClassifierFreeZeroStarGuidance(guidance_scale=scale, zero_init_steps=1)
    is_started = call > 0 or time < 0.9
    theirs.set_state(step=5 if is_started else 0, num_inference_steps=10, timestep=torch.ones(1))
    expected = clean(theirs.forward(STRONG, WEAK).pred, time)
    ours = ClassifierFreeZeroStar(scale)
    weight = ours.weight("video", time * ONES)
    now = moment(time, call=call)
    term = ours.term(clean(STRONG, time), clean(WEAK, time), weight=weight, moment=now)
    assert torch.allclose(clean(STRONG, time) + term.value, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_clean_and_velocity_are_inverse(schedule: NoiseSchedule) -> None:
    now = moment(0.7, schedule=schedule)
    assert torch.allclose(now.clean(now.velocity(STRONG)), STRONG, atol=1e-5)
    noise = torch.randn(STRONG.shape, generator=torch.Generator().manual_seed(4))
    time = 0.7 * ONES
    noisy = schedule.alpha(time) * STRONG + schedule.sigma(time) * noise
    velocity = Moment.of(noisy, time, noise_schedule=schedule).velocity(STRONG)
    assert torch.allclose(velocity, noise - STRONG, atol=1e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_parallel_velocities_are_left_as_they_are(schedule: NoiseSchedule) -> None:
    """Where the weaker velocity only is of another length, the optimal scale takes that away."""
    now = moment(0.7, schedule=schedule)
    strong, weak = now.clean(STRONG), now.clean(0.4 * STRONG)
    value = ClassifierFreeZeroStar().term(strong, weak, weight=3 * ONES, moment=now).value
    assert value.abs().max() < 1e-4
    free = ClassifierFree().term(strong, weak, weight=3 * ONES, moment=now).value
    assert free.abs().max() > 0.1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_its_first_call_stands_still(schedule: NoiseSchedule) -> None:
    now = moment(1.0, call=0, schedule=schedule)
    term = ClassifierFreeZeroStar().term(STRONG, WEAK, weight=3 * ONES, moment=now)
    assert torch.allclose(now.velocity(STRONG + term.value), torch.zeros(()), atol=1e-5)
    off = ClassifierFreeZeroStar().term(STRONG, WEAK, weight=0 * ONES, moment=now)
    assert not off.value.any()


def test_given_tokens_have_no_say_in_the_optimal_scale() -> None:
    given = torch.zeros(2, 1, 3, 1, 1)
    given[:, :, 1:] = 0.6
    part = Moment.of(NOISY, given, noise_schedule=Flow(), call=5)
    rest = Moment.of(NOISY[:, :, 1:], given[:, :, 1:], noise_schedule=Flow(), call=5)
    guider = ClassifierFreeZeroStar()
    whole = guider.term(STRONG, WEAK, weight=ONES, moment=part).value
    alone = guider.term(STRONG[:, :, 1:], WEAK[:, :, 1:], weight=ONES, moment=rest).value
    assert not whole[:, :, :1].any()
    assert torch.allclose(whole[:, :, 1:], alone, atol=1e-5)


def test_wrong_settings_teach() -> None:
    for calls in (-1, 1.5, True):
        with pytest.raises(ValueError, match=r"zero_init_calls is .*a whole number from 0"):
            ClassifierFreeZeroStar(zero_init_calls=calls)  # type: ignore[arg-type]
