import pytest
import torch
from diffusers.guiders import (
    AdaptiveProjectedGuidance,
    ClassifierFreeGuidance,
    ClassifierFreeZeroStarGuidance,
)
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

from mmdiff.diffusion.noise_schedule import Cosine, Flow, Linear, NoiseSchedule
from mmdiff.diffusion.parameterization import to_clean
from mmdiff.guidance.guider import StepContext
from mmdiff.guidance.text_guiders import ClassifierFree, ClassifierFreeZeroStar, Projected

GENERATOR = torch.Generator().manual_seed(0)
CONDITIONAL, PERTURBED, NOISY = torch.randn(3, 2, 4, 3, 5, 5, generator=GENERATOR)
CALLS = torch.randn(3, 2, 2, 4, 3, 5, 5, generator=GENERATOR)
ONES = torch.ones(2, 1, 1, 1, 1)
NOW = StepContext(NOISY, 0.5 * ONES)
SCHEDULES = [Flow(), Cosine(), Linear()]


def fresh() -> StepContext:
    return StepContext(NOISY, 0.5 * ONES)


def at(time: float, *, call: int = 5, schedule: NoiseSchedule | None = None) -> StepContext:
    return StepContext(NOISY, time * ONES, call, schedule or Flow())


def clean(velocity: torch.Tensor, time: float) -> torch.Tensor:
    return to_clean(velocity, NOISY, time=time * ONES, schedule=Flow(), parameterization="velocity")


@pytest.mark.parametrize("rescale", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("scale", [1.5, 4.0, 9.0])
def test_classifier_free_is_that_of_diffusers(scale: float, rescale: float) -> None:
    theirs = ClassifierFreeGuidance(guidance_scale=scale, guidance_rescale=rescale)
    expected = theirs.forward(CONDITIONAL, PERTURBED).pred
    ours = ClassifierFree(scale, guidance_rescale=rescale)
    term = ours.term(CONDITIONAL, PERTURBED, weight=ours.weight("video", ONES), step=NOW)
    assert torch.allclose(CONDITIONAL + term, expected, rtol=0, atol=1e-5)


def test_guiding_the_clean_estimate_is_guiding_the_prediction() -> None:
    def x_0(prediction: torch.Tensor) -> torch.Tensor:
        time = torch.full((2, 1, 1, 1, 1), 0.6)
        return to_clean(
            prediction, NOISY, time=time, schedule=Cosine(), parameterization="velocity"
        )

    guided_prediction = PERTURBED + 4.0 * (CONDITIONAL - PERTURBED)
    term = ClassifierFree().term(x_0(CONDITIONAL), x_0(PERTURBED), weight=3 * ONES, step=NOW)
    assert torch.allclose(x_0(CONDITIONAL) + term, x_0(guided_prediction), atol=1e-5)


@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_rows_without_weight_are_untouched(rescale: float) -> None:
    weight = torch.tensor([3.0, 0.0]).reshape(2, 1, 1, 1, 1)
    guider = ClassifierFree(guidance_rescale=rescale)
    value = guider.term(CONDITIONAL, PERTURBED, weight=weight, step=NOW)
    assert value[0].any()
    assert not value[1].any()


def test_scales_per_half_and_interval() -> None:
    guider = ClassifierFree(4.0, audio_guidance_scale=2.0, interval=(0.2, 0.8))
    levels = torch.tensor([0.1, 0.2, 0.5, 0.8, 0.9])
    assert guider.weight("video", levels).tolist() == [0, 3, 3, 3, 0]
    assert guider.weight("audio", levels).tolist() == [0, 1, 1, 1, 0]
    assert ClassifierFree(4.0).weight("audio", levels).tolist() == [3] * 5
    assert ClassifierFree(4.0).weight("video", torch.zeros(1)).tolist() == [0]


@pytest.mark.parametrize("momentum", [0.0, -0.5, 0.3])
@pytest.mark.parametrize("norm_threshold", [0.0, 5.0, 1000.0])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_projected_is_that_of_diffusers(eta: float, norm_threshold: float, momentum: float) -> None:
    # the formula of the paper is what diffusers calls the original one; its scale is ours - 1
    theirs = AdaptiveProjectedGuidance(
        guidance_scale=3.0,
        adaptive_projected_guidance_rescale=norm_threshold,
        eta=eta,
        use_original_formulation=True,
    )
    if momentum:
        theirs.momentum_buffer = MomentumBuffer(momentum)
    ours = Projected(4.0, eta=eta, norm_threshold=norm_threshold, momentum=momentum)
    step = StepContext(NOISY, 0.5 * ONES)
    for one, other in CALLS:
        expected = theirs.forward(one, other).pred
        term = ours.term(one, other, weight=ours.weight("video", ONES), step=step)
        assert torch.allclose(one + term, expected, rtol=0, atol=1e-5)


def test_without_its_own_settings_it_is_classifier_free() -> None:
    one, other = CALLS[0]
    plain = Projected(eta=1.0, norm_threshold=0.0, momentum=0.0)
    projected = plain.term(one, other, weight=3 * ONES, step=fresh())
    free = ClassifierFree().term(one, other, weight=3 * ONES, step=fresh())
    assert torch.allclose(projected, free, atol=1e-5)


def test_with_eta_0_nothing_is_added_along_the_estimate() -> None:
    one, other = CALLS[0]
    value = Projected(eta=0.0).term(one, other, weight=3 * ONES, step=fresh())
    assert torch.allclose((value * one).sum((1, 2, 3, 4)), torch.zeros(2), atol=1e-3)


def test_equal_estimates_add_nothing() -> None:
    one = CALLS[0, 0]
    assert not Projected().term(one, one, weight=3 * ONES, step=fresh()).any()


@pytest.mark.parametrize("call", [0, 1, 2])
@pytest.mark.parametrize("time", [0.1, 0.6, 1.0])
@pytest.mark.parametrize("scale", [1.5, 4.0])
def test_zero_star_is_that_of_diffusers(scale: float, time: float, call: int) -> None:
    theirs = ClassifierFreeZeroStarGuidance(guidance_scale=scale, zero_init_steps=1)
    is_started = call > 0 or time < 0.9
    theirs.set_state(step=5 if is_started else 0, num_inference_steps=10, timestep=torch.ones(1))
    expected = clean(theirs.forward(CONDITIONAL, PERTURBED).pred, time)
    ours = ClassifierFreeZeroStar(scale)
    weight = ours.weight("video", time * ONES)
    now = at(time, call=call)
    term = ours.term(clean(CONDITIONAL, time), clean(PERTURBED, time), weight=weight, step=now)
    assert torch.allclose(clean(CONDITIONAL, time) + term, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_parallel_velocities_are_left_as_they_are(schedule: NoiseSchedule) -> None:
    """Where the perturbed velocity only is of another length, the optimal scale takes that away."""
    now = at(0.7, schedule=schedule)
    noisy, level = now.on_line()
    one, other = noisy - level * CONDITIONAL, noisy - 0.4 * level * CONDITIONAL
    value = ClassifierFreeZeroStar().term(one, other, weight=3 * ONES, step=now)
    assert value.abs().max() < 1e-4
    free = ClassifierFree().term(one, other, weight=3 * ONES, step=now)
    assert free.abs().max() > 0.1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_its_first_call_stands_still(schedule: NoiseSchedule) -> None:
    now = at(1.0, call=0, schedule=schedule)
    term = ClassifierFreeZeroStar().term(CONDITIONAL, PERTURBED, weight=3 * ONES, step=now)
    noisy, _ = now.on_line()
    assert torch.allclose(CONDITIONAL + term, noisy, atol=1e-5)
    off = ClassifierFreeZeroStar().term(CONDITIONAL, PERTURBED, weight=0 * ONES, step=now)
    assert not off.any()


def test_given_tokens_have_no_say_in_the_optimal_scale() -> None:
    given = torch.zeros(2, 1, 3, 1, 1)
    given[:, :, 1:] = 0.6
    part = StepContext(NOISY, given, call=5)
    rest = StepContext(NOISY[:, :, 1:], given[:, :, 1:], call=5)
    guider = ClassifierFreeZeroStar()
    whole = guider.term(CONDITIONAL, PERTURBED, weight=ONES, step=part)
    alone = guider.term(CONDITIONAL[:, :, 1:], PERTURBED[:, :, 1:], weight=ONES, step=rest)
    assert not whole[:, :, :1].any()
    assert torch.allclose(whole[:, :, 1:], alone, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ClassifierFree(guidance_rescale=2.0), "guidance_rescale is 2;.*from 0 to 1"),
        (lambda: Projected(norm_threshold=-1.0), "norm_threshold is -1"),
        (lambda: Projected(momentum=1.0), "momentum is 1"),
        (lambda: ClassifierFreeZeroStar(zero_init_calls=-1), "zero_init_calls is -1"),
        (lambda: ClassifierFreeZeroStar(zero_init_calls=1.5), "zero_init_calls is 1.5"),
    ],
)
def test_settings_out_of_range_are_refused(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
