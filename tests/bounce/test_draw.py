from fractions import Fraction

import pytest
import torch

from mmdiff.bounce.bounce import BACKGROUNDS, COLORS, Bounce
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw, draw_frames, draw_waveform, signed_distance
from mmdiff.values.shapes import ClipShape

RED = Bounce("large", "red", "circle", "black", "bouncing up and down", "quickly", "a high ping")


def test_drawing_is_pure_and_has_the_shape_asked_for() -> None:
    shape = ClipShape(num_frames=9, height=48, width=80, frame_rate=Fraction(30000, 1001))
    clip, again = draw(RED, shape), draw(RED, shape)
    assert torch.equal(clip.frames, again.frames)
    assert torch.equal(clip.waveform, again.waveform)
    assert clip.frames.shape == (9, 48, 80, 3)
    assert clip.frames.dtype == torch.uint8
    assert clip.waveform.shape == (1, shape.num_samples)
    assert clip.fps == Fraction(30000, 1001)


@pytest.mark.parametrize("shape", ["circle", "square", "triangle"])
def test_the_window_holds_all_that_a_whole_canvas_would(shape: str) -> None:
    clip_shape = ClipShape(num_frames=5, height=40, width=64)
    event = Bounce("large", "cyan", shape, "navy", "bouncing diagonally", "quickly", "no sound")
    times = torch.arange(5, dtype=torch.float64) / 16
    x, y = event.positions(times, 64 / 40)
    from_x = (torch.arange(64) + 0.5 - x[:, None] * 64)[:, None, :]
    from_y = (torch.arange(40) + 0.5 - y[:, None] * 40)[:, :, None]
    distance = signed_distance(shape, from_x.float(), from_y.float(), half=0.18 * 40)
    coverage = (0.5 - distance).clamp(0, 1)[..., None]
    background = torch.tensor(BACKGROUNDS["navy"]).float()
    color = torch.tensor(COLORS["cyan"]).float()
    whole = (background + coverage * (color - background)).round().to(torch.uint8)
    assert torch.equal(draw_frames(event, clip_shape), whole)


def test_still_objects_and_no_sound_are_digital_silence() -> None:
    still = Bounce("small", "red", "square", "gray", "standing still", "not at all", "no sound")
    mute = Bounce("small", "red", "square", "gray", "bouncing up and down", "slowly", "no sound")
    for event in (still, mute):
        assert draw_waveform(event, ClipShape()).abs().max() == 0
    frames = draw_frames(still, ClipShape())
    assert torch.equal(frames, frames[:1].expand_as(frames))


def test_sound_starts_at_the_first_impact_to_the_sample_and_never_clips() -> None:
    shape = ClipShape()
    for event in random_prompts(100, 4):
        waveform = draw_waveform(event, shape)
        assert waveform.abs().max() <= 1
        impacts = event.impacts(float(shape.duration_seconds))
        if event.sound == "no sound" or impacts[0].seconds > 2:
            continue
        first = int(torch.nonzero(waveform[0])[0])
        assert 0 <= first - impacts[0].seconds * shape.sample_rate < 2


def test_edges_are_soft_and_the_area_is_that_of_the_shape() -> None:
    frames = draw_frames(RED, ClipShape(num_frames=1)).float()
    red = (frames[0, ..., 0] - 8) / (230 - 8)
    assert ((red > 0.1) & (red < 0.9)).any()
    assert abs(float(red.sum()) / (torch.pi * (0.18 * 64) ** 2) - 1) < 0.01


def test_the_smallest_canvas_and_one_frame_can_be_drawn() -> None:
    for event in random_prompts(20, 5):
        assert draw(event, ClipShape(num_frames=1, height=32, width=32)).shape == (1, 32, 32)
