"""Runs of every scheduler in conf/scheduler: of any length, from any call, by any generator."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mmdiff.apps.compose import composed, resolved
from mmdiff.apps.conf_tree import options
from mmdiff.apps.config import instantiate
from mmdiff.diffusion.noise_schedule import Flow
from mmdiff.diffusion.scheduler import MatchedScheduler

MEAN, DEVIATION = 1.5, 0.5
NAMES = tuple(options("scheduler"))
DISTILLED = ("lcm", "flow_match_lcm", "tcd")
STOCHASTIC = ("ddpm", "dpmpp_sde", "euler_ancestral", "sa_solver", *DISTILLED)
# allowed relative error of the standard deviation, where it is not 0.03: solvers of first order,
# and what chance does to 9216 numbers
OF_DEVIATION = {
    **dict.fromkeys(("ddim", "euler", "flow_match_euler"), 0.07),
    **dict.fromkeys(STOCHASTIC, 0.06),
    "ddpm": 0.1,
    "euler_ancestral": 0.15,
}

Estimate = Callable[[MatchedScheduler, int, Tensor], Tensor]


def scheduler_of(name: str) -> Any:
    config = resolved(composed("generate", [f"scheduler={name}"]), "generate")
    return instantiate(config["scheduler"])


@pytest.fixture(scope="module")
def schedulers() -> dict[str, Any]:
    return {name: scheduler_of(name) for name in NAMES}


def matched(scheduler: Any, steps: int) -> MatchedScheduler:
    result = MatchedScheduler(scheduler, Flow())
    result.set_timesteps(steps)
    return result


def chance(count: int = 4) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def marginal(time: float, noise: Tensor) -> Tensor:
    """What the noise becomes at a time along the exact trajectory; so distributed anyway."""
    alpha = 1 - time
    return alpha * MEAN + (alpha**2 * DEVIATION**2 + time**2) ** 0.5 * noise


def noise_of(time: float, sample: Tensor) -> Tensor:
    """The inverse of `marginal`."""
    return (sample - marginal(time, torch.zeros(()))) / marginal(time, torch.ones(())).sub(
        marginal(time, torch.zeros(()))
    )


def mean_estimate(run: MatchedScheduler, index: int, sample: Tensor) -> Tensor:
    """E[x_0 | x_t]: an ordinary backbone."""
    alpha, sigma = 1 - run.times[index], run.times[index]
    variance = alpha**2 * DEVIATION**2 + sigma**2
    return MEAN + alpha * DEVIATION**2 * (sample.double() - alpha * MEAN).float() / variance


def end_estimate(run: MatchedScheduler, index: int, sample: Tensor) -> Tensor:
    """Where the trajectory ends: a backbone distilled to consistency (arXiv 2303.01469)."""
    return marginal(0.0, noise_of(run.times[index], sample))


def trajectory_estimate(run: MatchedScheduler, index: int, sample: Tensor) -> Tensor:
    """What leads DDIM to the trajectory at the timestep to which TCD goes before it adds noise:
    a backbone distilled to consistency along the trajectory (arXiv 2402.19159)."""
    if index == run.num_calls - 1:
        return end_estimate(run, index, sample)
    goal = int(0.7 * run.scheduler.timesteps[index + 1])  # gamma is 0.3
    kept = float(run.scheduler.alphas_cumprod[goal])
    time = (1 - kept) ** 0.5 / ((1 - kept) ** 0.5 + kept**0.5)
    now = run.times[index]
    there = marginal(time, noise_of(now, sample))
    return (there - time / now * sample) / ((1 - time) - time / now * (1 - now))


ESTIMATES: dict[str, Estimate] = {
    "lcm": end_estimate,
    "flow_match_lcm": end_estimate,
    "tcd": trajectory_estimate,
}


def finish(
    run: MatchedScheduler, sample: Tensor, *, estimate: Estimate, first: int = 0, rows: int = 4
) -> Tensor:
    generators = chance(rows)
    for index in range(first, run.num_calls):
        clean = estimate(run, index, sample)
        sample = run.step(index, sample, clean=clean, generators=generators)
    return sample


def unit_noise(size: int = 48) -> Tensor:
    return torch.randn(4, 1, size, size, generator=torch.Generator().manual_seed(7))


def errors(result: Tensor, noise: Tensor) -> tuple[float, float]:
    mean = (result.mean() - MEAN) / DEVIATION - noise.mean()
    return abs(float(mean)), abs(float(result.std() / (DEVIATION * noise.std()) - 1))


@pytest.mark.parametrize("name", NAMES)
def test_every_file_finds_mean_and_deviation(name: str, schedulers: dict[str, Any]) -> None:
    steps = 250 if name == "ddpm" else 50
    run, noise = matched(schedulers[name], steps), unit_noise()
    sample = finish(run, run.start(noise), estimate=ESTIMATES.get(name, mean_estimate))
    mean, deviation = errors(sample, noise)
    # those with a table of betas do not begin in pure noise, and lose that much of the mean
    lost = (1 - run.times[0]) * MEAN / DEVIATION
    assert mean < lost + (0.05 if name in STOCHASTIC else 0.003)
    assert deviation < OF_DEVIATION.get(name, 0.03)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_from_the_middle_finds_mean_and_deviation(
    name: str, schedulers: dict[str, Any]
) -> None:
    estimate = ESTIMATES.get(name, mean_estimate)
    run, noise = matched(schedulers[name], 48), unit_noise()
    for level in (0.7, 0.4):
        first = next(call for call in run.resting_calls if run.times[call] <= level)
        run.begin(first)
        start = marginal(run.times[first], noise)
        mean, deviation = errors(finish(run, start, estimate=estimate, first=first), noise)
        assert mean < (0.05 if name in STOCHASTIC else 0.003)
        assert deviation < OF_DEVIATION.get(name, 0.03)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_can_begin_at_every_resting_call(name: str, schedulers: dict[str, Any]) -> None:
    run, noise = matched(schedulers[name], 6), unit_noise(4)
    assert run.resting_calls[0] == 0
    for first in run.resting_calls:
        run.begin(first)
        start = marginal(run.times[first], noise)
        result = finish(run, start, estimate=mean_estimate, first=first)
        assert torch.isfinite(result).all()
        assert (result - marginal(0.0, noise)).abs().max() < 6
    run.begin(run.resting_calls[-1])
    last = run.resting_calls[-1]
    if last == run.num_calls - 1 and name not in ("dpmpp_sde", "unipc"):
        # one call from the end every solver gives the clean estimate
        clean = torch.randn(4, 1, 4, 4)
        result = run.step(last, start, clean=clean, generators=chance())
        assert torch.allclose(result, clean, atol=1e-4)


@pytest.mark.parametrize("name", ["ddim", "euler", "flow_match_euler", "flow_match_heun", "heun"])
def test_solvers_without_memory_go_on_as_if_never_interrupted(
    name: str, schedulers: dict[str, Any]
) -> None:
    run = matched(schedulers[name], 8)
    samples = [run.start(unit_noise(4))]
    for index in range(run.num_calls):
        clean = mean_estimate(run, index, samples[-1])
        samples.append(run.step(index, samples[-1], clean=clean, generators=chance()))
    for first in run.resting_calls:
        run.begin(first)
        again = finish(run, samples[first], estimate=mean_estimate, first=first)
        assert torch.equal(again, samples[-1])


@pytest.mark.parametrize("name", NAMES)
def test_beginning_forgets_the_run_before(name: str, schedulers: dict[str, Any]) -> None:
    run, noise = matched(schedulers[name], 7), unit_noise(4)
    fresh = finish(run, run.start(noise), estimate=mean_estimate)
    run.begin(run.resting_calls[3])
    finish(run, noise, estimate=mean_estimate, first=run.resting_calls[3])
    run.begin(0)
    assert torch.equal(finish(run, run.start(noise), estimate=mean_estimate), fresh)


def test_a_run_begins_between_the_steps_of_a_solver_that_calls_twice(
    schedulers: dict[str, Any],
) -> None:
    assert matched(schedulers["flow_match_heun"], 4).resting_calls == [0, 2, 4, 6]
    assert matched(schedulers["unipc"], 4).resting_calls == [0, 1, 2, 3]


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_steps(name: str, schedulers: dict[str, Any]) -> None:
    for steps in range(1, 51):
        run = matched(schedulers[name], steps)
        assert run.num_calls in (steps, 2 * steps - 1)
        pairs = zip(run.times, run.times[1:], strict=False)
        assert all(late <= early + 1e-12 for early, late in pairs)
        assert run.times[-1] == 0
    noise = unit_noise(4)
    for steps in (1, 2, 3, 5, 8, 15, 33, 50):
        run = matched(schedulers[name], steps)
        result = finish(run, run.start(noise), estimate=mean_estimate)
        assert (result - marginal(0.0, noise)).abs().max() < 6


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_depends_on_its_generator_alone(name: str, schedulers: dict[str, Any]) -> None:
    noise = unit_noise(4)

    def row(count: int) -> Tensor:
        run = matched(schedulers[name], 6)
        start = run.start(noise[:count])
        return finish(run, start, estimate=mean_estimate, rows=count)[0]

    together, alone = row(4), row(1)
    assert torch.equal(together, row(4))
    assert torch.allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_stochastic_schedulers_draw_from_the_generators(
    name: str, schedulers: dict[str, Any]
) -> None:
    run, noise = matched(schedulers[name], 6), unit_noise(4)[:1].expand(4, -1, -1, -1)
    result = finish(run, run.start(noise), estimate=mean_estimate)
    assert not torch.allclose(result[0], result[1], atol=1e-2)
