import pytest
import torch
from einops import rearrange

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw_frames
from mmdiff.guidance.flicker_energy import FlickerEnergy, warped_flicker
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
    gradient = ENERGY._gradients(clean, told, asked=("video",)).video
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
