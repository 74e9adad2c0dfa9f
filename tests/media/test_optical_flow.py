import pytest
import torch
from einops import rearrange

from mmdiff.bounce.bounce import Bounce
from mmdiff.bounce.draw import draw_frames
from mmdiff.media.optical_flow import estimate_flow, warp
from mmdiff.values.shapes import ClipShape


def pictures(event: Bounce, shape: ClipShape, *, centre: float = 0.0) -> torch.Tensor:
    frames = rearrange(draw_frames(event, shape), "f h w c -> f c h w").float()
    return frames / 255 if centre == 0 else frames / 127.5 - 1


def bounce(motion: str, speed: str, size: str = "large", shape: str = "square") -> Bounce:
    return Bounce(size, "orange", shape, "navy", motion, speed, "no sound", 0.2, 0.2)  # type: ignore[arg-type]


@pytest.mark.parametrize("range_begins", [0.0, -1.0])
@pytest.mark.parametrize("motion", ["bouncing left and right", "bouncing diagonally"])
@pytest.mark.parametrize("size", ["small", "large"])
def test_the_translation_of_an_object_is_found_all_over_it(motion, size, range_begins):
    event, shape = bounce(motion, "quickly", size), ClipShape(num_frames=5)
    frames = pictures(event, shape, centre=range_begins)
    x, y = event.positions(torch.arange(5, dtype=torch.float64) / 16, 1.0)
    true = torch.stack([x, y], dim=-1).diff(dim=0).float() * 64  # up to 5 pixels a frame
    is_object = (frames[:-1] - frames[:-1, :, :1, :1]).abs().sum(1) > 0.2
    flow = estimate_flow(frames[:-1], frames[1:])
    for found, where, moved in zip(flow, is_object, true, strict=True):
        assert (found[:, where].mean(-1) - moved).norm() < 0.15 * moved.norm()


@pytest.mark.parametrize(("height", "width"), [(48, 80), (17, 23), (128, 128)])
def test_it_works_at_any_size(height, width):
    shape = ClipShape(num_frames=3, height=height, width=width)
    frames = pictures(bounce("bouncing left and right", "slowly"), shape)
    flow = estimate_flow(frames[:-1], frames[1:])
    assert flow.shape == (2, 2, height, width)
    left = (warp(frames[1:], flow) - frames[:-1]).abs().mean()
    assert left < 0.35 * (frames[1:] - frames[:-1]).abs().mean()


def test_warping_by_it_takes_most_of_the_difference_away():
    for motion, speed in (("bouncing diagonally", "quickly"), ("falling and bouncing", "slowly")):
        frames = pictures(bounce(motion, speed, shape="triangle"), ClipShape(num_frames=17))
        flow = estimate_flow(frames[:-1], frames[1:])
        left = (warp(frames[1:], flow) - frames[:-1]).abs().mean()
        assert left < 0.15 * (frames[1:] - frames[:-1]).abs().mean()


def test_equal_pictures_have_no_flow():
    frames = pictures(bounce("bouncing up and down", "slowly"), ClipShape(num_frames=1))
    assert estimate_flow(frames, frames).abs().max() < 1e-4


def test_no_flow_is_the_identity_and_a_whole_number_of_pixels_a_shift():
    frames = torch.rand(2, 3, 12, 9, generator=torch.Generator().manual_seed(0))
    flow = torch.zeros(2, 2, 12, 9)
    assert torch.allclose(warp(frames, flow), frames, atol=1e-5)
    flow[:, 0], flow[:, 1] = 2, -1
    moved = warp(frames, flow)
    assert torch.allclose(moved[..., 1:, :-2], frames[..., :-1, 2:], atol=1e-5)


def test_the_warp_is_differentiable_in_the_frames():
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(1, 2, 4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    flow = torch.randn(1, 2, 4, 5, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: warp(x, flow), (frames,))


def test_rows_do_not_depend_on_each_other():
    frames = pictures(bounce("bouncing diagonally", "quickly"), ClipShape(num_frames=4))
    flow = estimate_flow(frames[:-1], frames[1:])
    alone = estimate_flow(frames[1:2], frames[2:3])
    assert torch.allclose(flow[1:2], alone, atol=1e-4)


def test_pictures_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match="equal size"):
        estimate_flow(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))
