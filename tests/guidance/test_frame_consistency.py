import pytest
import torch
from einops import rearrange

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw_frames
from mmdiff.guidance.backbone_guiders import FrameDifference
from mmdiff.guidance.energy import EnergyInput
from mmdiff.guidance.frame_consistency import (
    FlickerEnergy,
    FrameConsistency,
    LatentFlicker,
    warped_flicker,
)
from mmdiff.media.optical_flow import estimate_flow
from mmdiff.values.latents import ClipLatents
from mmdiff.values.shapes import ClipShape
from tests.guidance.tiny_decode import TinyDecode, known, latents

ENERGY = FlickerEnergy(0.1)


class AsItIs(TinyDecode):
    """Latents are frames."""

    def __call__(self, latents: ClipLatents) -> ClipLatents:
        return latents


def true_clips(count: int = 2) -> torch.Tensor:
    clips = [draw_frames(event, ClipShape(num_frames=9)) for event in random_prompts(count, 7)]
    return to_unit_range(torch.stack(clips))


def test_its_slope_with_the_motion_held_fixed_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    to_before, to_after = torch.randn(2, 3, 2, 6, 6, generator=generator, dtype=torch.float64)
    clean = latents(rows=1).video[..., :6, :6].requires_grad_()

    def energy(video: torch.Tensor) -> torch.Tensor:
        frames = TinyDecode()(ClipLatents(video)).video
        return warped_flicker(frames, to_before, to_after)

    assert torch.autograd.gradcheck(energy, (clean,))


def test_its_slope_does_not_go_through_the_motion():
    clean = latents(rows=1)
    told = known(clean)
    gradient = ENERGY.gradient(clean, told, ["video"]).video
    video = clean.video.clone().requires_grad_()
    frames = told.decode(ClipLatents(video)).video
    still = rearrange(frames.detach(), "b c f h w -> (b f) c h w")
    flows = [
        estimate_flow(still[1:-1], other, levels_left_out=1) for other in (still[:-2], still[2:])
    ]
    (expected,) = torch.autograd.grad(warped_flicker(frames, *flows).sum(), video)
    torch.testing.assert_close(gradient, expected)


def test_motion_costs_little_and_flicker_as_much_as_there_is_of_it():
    frames = true_clips(3)
    sign = torch.tensor([1.0, -1.0]).repeat(5)[:9, None, None]
    told = known(ClipLatents(frames), decode=AsItIs())
    none, some, more = (
        ENERGY.energy(ClipLatents(frames + amount * sign), told) for amount in (0, 0.05, 0.1)
    )
    assert (none < 0.5 * some).all()
    # 1 - 2 + 1 with alternating signs is 4 times the amount
    torch.testing.assert_close(more - none, torch.full((3,), 0.16), rtol=0.1, atol=0)
    torch.testing.assert_close(some - none, torch.full((3,), 0.04), rtol=0.15, atol=0)


def test_going_down_it_takes_noise_off_true_clips():
    frames = true_clips()
    noise = torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
    clean = ClipLatents(frames + 0.1 * noise)
    told = known(clean, 0.5, decode=AsItIs())
    before = ENERGY.energy(clean, told)
    for _ in range(5):
        clean = clean.zip(FlickerEnergy(0.04).slope(clean, told), torch.sub)
    assert (ENERGY.energy(clean, told) < 0.6 * before).all()
    # towards the true clip, not towards a frozen one
    assert (clean.video - frames).square().mean() < 0.9 * (0.1 * noise).square().mean()


@pytest.mark.parametrize("frames", [1, 2])
def test_too_few_frames_have_no_flicker(frames):
    clean = ClipLatents(latents().video[:, :, :frames])
    assert not ENERGY.slope(clean, known(clean)).video.any()


def test_the_sound_is_left_alone():
    clean = latents()
    slope = FlickerEnergy(0.1).slope(clean, known(clean))
    assert slope.video.any() and not slope.audio.any()


def inputs(latents: ClipLatents, level: float = 0.3) -> EnergyInput:
    return EnergyInput(time=latents.map(lambda half: torch.full_like(half[:, :1], level)))


def led(video: torch.Tensor, guider: LatentFlicker, *, level: float = 0.3) -> torch.Tensor:
    latents = ClipLatents(video, torch.ones(len(video), 2, 8, 4))
    found = latents.zip(guider.slope(latents, inputs(latents, level)), torch.sub)
    assert torch.equal(found.audio, latents.audio)  # type: ignore[arg-type]
    assert found.video is not None
    return found.video


def moving(*, tremble: float) -> torch.Tensor:
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


def test_each_form_is_its_guider_within_its_own_interval() -> None:
    difference = FrameConsistency(2.0, form="difference", schedule="linear").guider()
    assert difference == FrameDifference(2.0, 0.0, schedule="linear")
    assert FrameConsistency(2.0, None, form="difference").guider().scale_of("audio") == 2.0
    assert FrameConsistency(2.0).guider() == LatentFlicker(2.0)
    assert FrameConsistency(0.2, form="energy").guider() == FlickerEnergy(0.2)
    late = FrameConsistency(interval=(0.7, 0.9)).guider()
    assert late == LatentFlicker(interval=(0.7, 0.7))


def test_settings_out_of_range_are_refused() -> None:
    for settings, message in (
        ({"form": "both"}, "form is 'both'; it must be one of 'latent'"),
        ({"schedule": "sine"}, "schedule is 'sine'"),
        ({"interval": (0.5,)}, "interval is"),
        ({"scale": -1.0}, "scale is -1"),
    ):
        with pytest.raises(ValueError, match=message):
            FrameConsistency(**settings)
    with pytest.raises(ValueError, match="width is 0"):
        LatentFlicker(width=0.0)
