from typing import Any

import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from mmdiff.diffusion.noise_schedule import Flow
from mmdiff.diffusion.scheduler import MatchedScheduler
from mmdiff.values.latent_state import LatentState
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.masks import frames_at
from tests.diffusion.loop import sample

SCHEDULERS = [
    FlowMatchEulerDiscreteScheduler(),
    FlowMatchHeunDiscreteScheduler(),
    UniPCMultistepScheduler(),
    DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++"),
    EulerAncestralDiscreteScheduler(),
]


def empty(rows: int) -> LatentState:
    return LatentState(ClipLatents(torch.zeros(rows, 2, 3, 4, 4), torch.zeros(rows, 2, 6, 4)))


def chance(seeds: range) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def matched(scheduler: Any, steps: int = 6) -> dict[Modality, MatchedScheduler]:
    result: dict[Modality, MatchedScheduler] = {
        "video": MatchedScheduler(scheduler, Flow()),
        "audio": MatchedScheduler(scheduler, Flow()),
    }
    for one in result.values():
        one.set_timesteps(steps)
    return result


def halve(latents: ClipLatents, time: ClipLatents) -> ClipLatents:
    return latents.zip(time, lambda half, level: half * (1 - level / 2))


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda one: type(one).__name__)
def test_a_sample_does_not_depend_on_its_batch(scheduler: Any) -> None:
    together = sample(halve, matched(scheduler), empty(3), chance(range(3))).latents
    torch.manual_seed(5)  # the global generator plays no part
    for row in range(3):
        alone = sample(halve, matched(scheduler), empty(1), chance(range(row, row + 1))).latents
        for half in ("video", "audio"):
            assert torch.equal(getattr(alone, half)[0], getattr(together, half)[row])


def test_given_tokens_stay_and_are_seen_clean() -> None:
    given = torch.full((2, 2, 3, 4, 4), 7.0)
    mask = torch.zeros(2, 1, 3, 4, 4)
    mask[:, :, 0] = 1
    state = LatentState(empty(2).latents, ClipLatents(video=given), ClipLatents(video=mask))

    def watch(latents: ClipLatents, time: ClipLatents) -> ClipLatents:
        assert latents.video is not None
        assert time.video is not None
        assert (latents.video[:, :, 0] == 7).all()
        assert (time.video[:, :, 0] == 0).all()
        assert (time.video[:, :, 1:] > 0).all()
        return halve(latents, time)

    result = sample(watch, matched(UniPCMultistepScheduler()), state, chance(range(2))).latents
    assert result.video is not None
    assert (result.video[:, :, 0] == 7).all()
    assert not (result.video[:, :, 1:] == 7).any()


def test_schedulers_that_call_unequally_often_are_refused() -> None:
    schedulers = matched(FlowMatchEulerDiscreteScheduler())
    schedulers["audio"].set_timesteps(7)
    with pytest.raises(ValueError, match=r"'video': 6, 'audio': 7.*equal num_inference_steps"):
        sample(halve, schedulers, empty(1), chance(range(1)))


def give(rows: int, firmness: float) -> tuple[LatentState, torch.Tensor]:
    given = torch.full((rows, 2, 3, 4, 4), 7.0)
    state = empty(rows).give("video", given, torch.full((1, 1, 1, 1, 1), firmness))
    return state.give("audio", torch.full((rows, 2, 6, 4), 3.0), torch.ones(1, 1, 1, 1)), given


def test_partial_noise_makes_its_part_of_the_calls_and_starts_at_its_level() -> None:
    seen: list[float] = []

    def watch(latents: ClipLatents, time: ClipLatents) -> ClipLatents:
        assert latents.video is not None and time.video is not None
        seen.append(float(time.video.amax()))
        if len(seen) == 1:  # the rest of the level is of the given
            assert abs(float(latents.video.mean()) - (1 - seen[0]) * 7) < 0.1
        return latents.map(lambda half: torch.full_like(half, 5.0))

    state, _ = give(4, firmness=0.6)
    schedulers = matched(FlowMatchEulerDiscreteScheduler(), steps=10)
    made = sample(watch, schedulers, state, chance(range(4))).latents
    assert len(seen) == 4
    assert 0.3 < seen[0] <= 0.4
    assert made.video is not None and torch.allclose(made.video, torch.tensor(5.0), atol=1e-4)
    assert made.audio is not None and (made.audio == 3).all()


def test_everything_given_needs_no_call() -> None:
    def never(latents: ClipLatents, time: ClipLatents) -> ClipLatents:
        raise AssertionError("the denoiser was called")

    state, given = give(2, firmness=1.0)
    schedulers = matched(FlowMatchEulerDiscreteScheduler())
    assert torch.equal(sample(never, schedulers, state, chance(range(2))).latents.video, given)


def test_a_token_is_held_until_the_run_comes_down_to_its_level() -> None:
    state = empty(1).give("video", torch.full((1, 2, 3, 4, 4), 7.0), 0.5 * frames_at(3, [1]))
    watched: list[tuple[float, float, float]] = []

    def watch(latents: ClipLatents, time: ClipLatents) -> ClipLatents:
        assert latents.video is not None and time.video is not None
        level = time.video.expand(1, 1, 3, 4, 4)[0, 0, :, 0, 0]
        watched.append((float(level[0]), float(level[1]), float(latents.video[0, 0, 1, 0, 0])))
        return latents.map(torch.zeros_like)

    sample(watch, matched(FlowMatchEulerDiscreteScheduler(), steps=10), state, chance(range(1)))
    free = next(row[0] for row in watched if row[0] < 0.5)  # the first level of the run below
    above = [row for row in watched if row[0] >= free]
    below = [row for row in watched if row[0] < free]
    assert len(above) == 6 and len(below) == 4
    assert {row[1:] for row in above} == {(free, above[0][2])}
    assert all(own == everything for everything, own, _ in below)
    assert below[-1][2] != above[0][2]


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda one: type(one).__name__)
def test_partial_noise_with_every_scheduler_is_the_same_alone(scheduler: Any) -> None:
    state, _ = give(2, firmness=0.5)
    together = sample(halve, matched(scheduler), state, chance(range(2))).latents.video
    alone = sample(halve, matched(scheduler), give(1, 0.5)[0], chance(range(1, 2))).latents.video
    assert together is not None and alone is not None and torch.equal(together[1:], alone)


def test_clips_of_different_strength_are_refused_in_one_batch() -> None:
    state = LatentState.cat([give(1, 0.5)[0], give(1, 0.2)[0]])
    with pytest.raises(ValueError, match="equal strengths"):
        sample(halve, matched(FlowMatchEulerDiscreteScheduler()), state, chance(range(2)))
