"""Every scheduler, with every schedule and parameterization, against a Gaussian in closed form."""

from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    DPMSolverSinglestepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    IPNDMScheduler,
    PNDMScheduler,
    SASolverScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from mmdiff.diffusion.denoiser import Denoiser
from mmdiff.diffusion.noise_schedule import Flow, NoiseSchedule, named_noise_schedule
from mmdiff.diffusion.parameterization import Parameterization
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents
from tests.diffusion.gaussian import CONTEXT, DEVIATIONS, LATENTS, MEANS, GaussianBackbone
from tests.diffusion.loop import draw_noise, sample

# each schedule and each parameterization once: that the checkpoint does not matter is a law below
CHECKPOINTS = [("flow", "velocity"), ("cosine", "v"), ("linear", "noise"), ("flow", "clean")]

# name: scheduler, steps, what is allowed: error of the mean (in standard deviations) and of the
# standard deviation (relative), both measured against the noise it starts from
DETERMINISTIC: dict[str, tuple[Any, int, float, float]] = {
    "flow euler": (FlowMatchEulerDiscreteScheduler(), 50, 0.002, 0.035),
    "flow euler, shifted": (FlowMatchEulerDiscreteScheduler(shift=3.0), 50, 0.003, 0.06),
    "flow heun": (FlowMatchHeunDiscreteScheduler(), 25, 0.001, 0.002),
    "unipc": (UniPCMultistepScheduler(), 25, 0.012, 0.03),
    "unipc, flow": (
        UniPCMultistepScheduler(use_flow_sigmas=True, flow_shift=3.0),
        25,
        0.001,
        0.012,
    ),
    "2M": (DPMSolverMultistepScheduler(), 25, 0.012, 0.03),
    "2M, karras": (DPMSolverMultistepScheduler(use_karras_sigmas=True), 25, 0.012, 0.035),
    "2M, flow": (DPMSolverMultistepScheduler(use_flow_sigmas=True), 25, 0.002, 0.012),
    "ddim": (DDIMScheduler(), 50, 0.015, 0.06),
    "ddim, 30 steps of 1000": (DDIMScheduler(timestep_spacing="trailing"), 30, 0.015, 0.1),
    "euler": (EulerDiscreteScheduler(), 50, 0.012, 0.06),
    "euler, karras": (EulerDiscreteScheduler(use_karras_sigmas=True), 50, 0.012, 0.065),
    "heun": (HeunDiscreteScheduler(), 25, 0.07, 0.012),
    "deis": (DEISMultistepScheduler(), 50, 0.012, 0.012),
    "deis, flow": (DEISMultistepScheduler(use_flow_sigmas=True), 25, 0.002, 0.012),
    "deis 3, flow": (
        DEISMultistepScheduler(use_flow_sigmas=True, solver_order=3, flow_shift=3.0),
        25,
        0.002,
        0.03,
    ),
    "2S, flow": (DPMSolverSinglestepScheduler(use_flow_sigmas=True), 25, 0.003, 0.018),
    "3S, flow": (
        DPMSolverSinglestepScheduler(use_flow_sigmas=True, solver_order=3),
        25,
        0.003,
        0.006,
    ),
}
STOCHASTIC: dict[str, tuple[Any, int, float, float]] = {
    "2M, sde": (DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++"), 50, 0.05, 0.04),
    "sa": (SASolverScheduler(), 50, 0.05, 0.04),
    "sa, flow": (SASolverScheduler(use_flow_sigmas=True), 50, 0.05, 0.04),
    "ddpm": (DDPMScheduler(), 250, 0.05, 0.04),
    "ddpm, cosine": (DDPMScheduler(beta_schedule="squaredcos_cap_v2"), 250, 0.05, 0.04),
    "euler ancestral": (EulerAncestralDiscreteScheduler(), 50, 0.05, 0.13),
}


def generators(count: int = 4) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def run(
    scheduler: Any, steps: int, schedule: NoiseSchedule, kind: Parameterization
) -> tuple[ClipLatents, ClipLatents]:
    """(what came out, the noise it started from)."""
    denoiser = Denoiser(GaussianBackbone(schedule, kind), schedule, kind)  # type: ignore[arg-type]
    schedulers = {name: MatchedScheduler(scheduler, schedule) for name in LATENTS.modalities}
    for matched in schedulers.values():
        matched.set_timesteps(steps)
    chance = generators()
    noise = draw_noise(LATENTS, chance)
    state = sample(
        lambda latents, time: denoiser(latents, time, CONTEXT),
        schedulers,
        LatentState(LATENTS),
        chance,
        noise=noise,
    )
    return state.latents, noise


def errors(name: str, result: ClipLatents, noise: ClipLatents) -> tuple[float, float]:
    """Of mean and standard deviation; an exact sampler gives mean + deviation * noise."""
    got, start = getattr(result, name).double(), getattr(noise, name).double()
    mean = (got.mean() - MEANS[name]) / DEVIATIONS[name] - start.mean()
    return abs(float(mean)), abs(float(got.std() / (DEVIATIONS[name] * start.std()) - 1))


@pytest.mark.parametrize("name, kind", CHECKPOINTS)
@pytest.mark.parametrize("label", [*DETERMINISTIC, *STOCHASTIC])
def test_every_scheduler_finds_mean_and_deviation(
    label: str, name: str, kind: Parameterization
) -> None:
    scheduler, steps, of_mean, of_deviation = (DETERMINISTIC | STOCHASTIC)[label]
    result, noise = run(scheduler, steps, named_noise_schedule(name), kind)
    for half in result.modalities:
        mean, deviation = errors(half, result, noise)
        assert mean < of_mean
        assert deviation < of_deviation


@pytest.mark.parametrize("label", DETERMINISTIC)
def test_more_steps_come_closer(label: str) -> None:
    scheduler, steps, *_ = DETERMINISTIC[label]
    few, many = (run(scheduler, count, Flow(), "velocity") for count in (steps // 3, steps * 3))
    for half in ("video", "audio"):
        assert errors(half, *many)[1] < errors(half, *few)[1] / 2 + 1e-3


@pytest.mark.parametrize("label", DETERMINISTIC)
def test_the_checkpoint_does_not_matter(label: str) -> None:
    # matched by signal-to-noise ratio, all schedules and parameterizations walk one path
    scheduler, steps, *_ = DETERMINISTIC[label]
    flow, _ = run(scheduler, steps, named_noise_schedule("flow"), "velocity")
    cosine, _ = run(scheduler, steps, named_noise_schedule("cosine"), "v")
    for half in ("video", "audio"):
        assert torch.allclose(getattr(flow, half), getattr(cosine, half), atol=2e-4)


def native(scheduler: Any, steps: int, noise: Tensor, *, predict: Any) -> Tensor:
    """The loop as diffusers' own pipelines have it."""
    scheduler.set_timesteps(steps)
    latents = noise
    for timestep in scheduler.timesteps:
        output = predict(latents)
        latents = scheduler.step(output, timestep, latents, return_dict=False)[0]
    return latents


@pytest.mark.parametrize(
    "scheduler",
    [
        FlowMatchEulerDiscreteScheduler(shift=2.0),
        FlowMatchHeunDiscreteScheduler(),
        UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction"),
        DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction"),
    ],
    ids=lambda scheduler: type(scheduler).__name__,
)
def test_a_flow_checkpoint_is_sampled_as_in_diffusers(scheduler: Any) -> None:
    backbone = GaussianBackbone(Flow(), "velocity")
    noise = torch.randn(4, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def predict(latents: Tensor) -> Tensor:
        # the integer timesteps of the multistep schedulers are rounded; their sigmas are not
        index = 0 if scheduler.step_index is None else scheduler.step_index
        level = scheduler.sigmas[index].reshape(1, 1, 1, 1, 1)
        video = backbone(ClipLatents(latents), ClipLatents(level), CONTEXT).video
        assert video is not None
        return video

    matched = MatchedScheduler(scheduler, Flow())
    matched.set_timesteps(10)
    start = matched.start(noise)
    denoiser = Denoiser(backbone, Flow(), "velocity")  # type: ignore[arg-type]
    ours = sample(
        lambda latents, time: denoiser(latents, time, CONTEXT),
        {"video": matched},
        LatentState(ClipLatents(noise)),
        generators(),
        noise=ClipLatents(noise),
    ).latents.video
    assert ours is not None
    assert torch.allclose(ours, native(scheduler, 10, start, predict=predict), atol=2e-5)


def test_a_run_leaves_the_scheduler_alone_and_modalities_can_share_it() -> None:
    scheduler = UniPCMultistepScheduler()
    before = dict(scheduler.config)
    run(scheduler, 5, Flow(), "velocity")
    assert dict(scheduler.config) == before
    assert scheduler.num_inference_steps is None


def test_steps_of_second_order_schedulers() -> None:
    matched = MatchedScheduler(FlowMatchHeunDiscreteScheduler(), Flow())
    matched.set_timesteps(4)
    assert matched.num_calls == 7
    assert matched.times[0] == 1
    assert matched.times[-1] == 0


def test_each_modality_has_its_own_shift() -> None:
    plain, shifted = (
        MatchedScheduler(FlowMatchEulerDiscreteScheduler(shift=shift), Flow())
        for shift in (1.0, 3.0)
    )
    for matched in (plain, shifted):
        matched.set_timesteps(4)
    assert all(
        late > early for late, early in zip(shifted.times[1:-1], plain.times[1:-1], strict=True)
    )


def test_levels_can_be_given() -> None:
    matched = MatchedScheduler(FlowMatchEulerDiscreteScheduler(), Flow())
    matched.set_timesteps(2, sigmas=[0.8, 0.4], timesteps=None)
    assert matched.times == pytest.approx([0.8, 0.4, 0.0])
    start = matched.start(torch.ones(1))
    assert float(start) == pytest.approx((0.8**2 + 0.2**2) ** 0.5)
    with pytest.raises(ValueError, match=r"DDIMScheduler takes no sigmas"):
        MatchedScheduler(DDIMScheduler(), Flow()).set_timesteps(2, sigmas=[0.8, 0.4])


def test_unknown_schedulers_are_refused() -> None:
    for scheduler in (IPNDMScheduler(), PNDMScheduler()):
        with pytest.raises(ValueError, match=r"PNDMScheduler.*FlowMatchEulerDiscreteScheduler"):
            MatchedScheduler(scheduler, Flow())


@pytest.mark.parametrize(
    ("scheduler", "hint"),
    [
        (FlowMatchEulerDiscreteScheduler(invert_sigmas=True), "invert_sigmas=True.*to False"),
        (FlowMatchEulerDiscreteScheduler(stochastic_sampling=True), "Take FlowMatchLCMScheduler"),
        (SASolverScheduler(algorithm_type="noise_prediction"), "to 'data_prediction'"),
        (
            DPMSolverSinglestepScheduler(algorithm_type="sde-dpmsolver++"),
            "Take DPMSolverMultistepScheduler",
        ),
        (DDPMScheduler(variance_type="learned"), "to 'fixed_small'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_go_wrong_is_refused_with_a_hint(scheduler: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        MatchedScheduler(scheduler, Flow())


def test_timesteps_that_diffusers_rounds_below_zero_are_refused() -> None:
    matched = MatchedScheduler(DDIMScheduler(timestep_spacing="trailing"), Flow())
    with pytest.raises(ValueError, match=r"62 timesteps.*61.*a step fewer"):
        matched.set_timesteps(61)
    matched.set_timesteps(60)


def test_a_run_ends_clean_whatever_the_last_level() -> None:
    # the last level of these is a repetition of the one before it, or that of timestep 0
    for scheduler in (
        DEISMultistepScheduler(use_flow_sigmas=True),
        SASolverScheduler(use_karras_sigmas=True),
        DDIMScheduler(set_alpha_to_one=False),
    ):
        matched = MatchedScheduler(scheduler, Flow())
        matched.set_timesteps(4)
        assert matched.times[-1] == 0
        clean = torch.randn(4, 1, 2, 2)
        sample = torch.randn(4, 1, 2, 2)
        for index in range(4):
            sample = matched.step(index, sample, clean=clean, generators=generators())
        assert torch.equal(sample, clean)
