"""Latent flicker: steadies what trembles, leaves what moves, and never goes up its own slope."""

import pytest
import torch
from torch import Tensor

from mmdiff.guidance.energy_input import EnergyInput
from mmdiff.guidance.latent_flicker import LatentFlicker
from mmdiff.values.latents import ClipLatents


def inputs(latents: ClipLatents, level: float = 0.3) -> EnergyInput:
    return EnergyInput(time=latents.map(lambda half: torch.full_like(half[:, :1], level)))


def led(video: Tensor, guider: LatentFlicker, *, level: float = 0.3) -> Tensor:
    latents = ClipLatents(video, torch.ones(len(video), 2, 8, 4))
    found = latents.zip(guider.slope(latents, inputs(latents, level)), torch.sub)
    assert torch.equal(found.audio, latents.audio)  # type: ignore[arg-type]
    assert found.video is not None
    return found.video


def moving(*, tremble: float) -> Tensor:
    """A bright site that goes on by one column a frame, over a still ground; all of it trembles."""
    video = torch.randn(1, 8, 1, 4, 9, generator=torch.Generator().manual_seed(0)).repeat(
        2, 1, 9, 1, 1
    )
    for frame in range(9):
        video[:, :, frame, 1, frame] += 3
    return video + tremble * torch.randn(video.shape, generator=torch.Generator().manual_seed(1))


def test_what_trembles_is_steadied_and_what_moves_is_left() -> None:
    truth, shaken = moving(tremble=0.0), moving(tremble=0.05)
    found = led(shaken, LatentFlicker())
    assert (found - truth).square().mean() < 0.45 * (shaken - truth).square().mean()
    torch.testing.assert_close(led(truth, LatentFlicker()), truth, rtol=0, atol=1e-4)


def test_more_passes_steady_more() -> None:
    truth, shaken = moving(tremble=0.0), moving(tremble=0.05)
    errors = [
        float((led(shaken, LatentFlicker(scale)) - truth).square().mean())
        for scale in (0.0, 0.5, 1.0, 2.5)
    ]
    assert errors == sorted(errors, reverse=True) and errors[0] > 2 * errors[-1]


def test_it_goes_down_its_own_energy_along_the_gradient() -> None:
    latents = ClipLatents(moving(tremble=0.2), None)
    guider, known = LatentFlicker(width=0.5), inputs(latents)
    leaf = latents.map(lambda half: half.clone().requires_grad_())
    before = guider.energy(leaf, known)
    (gradient,) = torch.autograd.grad(before.sum(), [leaf.video])  # type: ignore[list-item]
    slope = guider.slope(latents, known).video
    assert slope is not None
    assert (guider.energy(latents.zip(ClipLatents(slope, None), torch.sub), known) < before).all()
    same_way = torch.nn.functional.cosine_similarity(gradient.flatten(1), slope.flatten(1))
    assert (same_way > 0.9).all()


def test_the_gradient_is_that_of_finite_differences() -> None:
    video = moving(tremble=0.2).double()[:1]
    guider, latents = LatentFlicker(width=0.5), ClipLatents(video, None)
    leaf = ClipLatents(video.clone().requires_grad_(), None)
    energy = guider.energy(leaf, inputs(latents)).sum()
    (gradient,) = torch.autograd.grad(energy, [leaf.video])  # type: ignore[list-item]
    way = torch.randn(video.shape, generator=torch.Generator().manual_seed(2)).double()
    step = 1e-5
    ends = [
        guider.energy(ClipLatents(video + sign * step * way, None), inputs(latents)).sum()
        for sign in (1, -1)
    ]
    numeric = float(ends[0] - ends[1]) / (2 * step)
    assert numeric == pytest.approx(float((gradient * way).sum()), rel=1e-6)


def test_what_is_given_stays_and_noisy_times_are_left() -> None:
    shaken = moving(tremble=0.05)
    latents = ClipLatents(shaken, None)
    level = torch.full((2, 1, 9, 1, 1), 0.3)
    level[:, :, 0] = 0
    slope = LatentFlicker().slope(latents, EnergyInput(time=ClipLatents(level, None))).video
    assert slope is not None
    assert not slope[:, :, 0].any() and slope[:, :, 1:].any()
    assert torch.equal(led(shaken, LatentFlicker(), level=0.7), shaken)
    assert torch.equal(led(shaken[:, :, :1], LatentFlicker()), shaken[:, :, :1])


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="width is 0"):
        LatentFlicker(width=0.0)
