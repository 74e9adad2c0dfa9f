"""Draw an event: frames anti-aliased by signed distance, and a ping at every impact."""

import math

import torch
from einops import rearrange, repeat
from torch import Tensor

from mmdiff.bounce.bounce import BACKGROUNDS, COLORS, HALF_EXTENTS, PITCHES, TRIANGLE_HEIGHT, Bounce
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape

TIME_CONSTANT_SECONDS = 0.08  # in this time a ping falls to 1/e of its amplitude
PING_SECONDS = 10 * TIME_CONSTANT_SECONDS
LOUDEST, SOFTEST = 0.5, 0.2


def draw(event: Bounce, shape: ClipShape) -> Clip:
    """Render an event. A pure function: equal arguments give equal bytes."""
    return Clip(
        frames=draw_frames(event, shape),
        fps=shape.frame_rate,
        waveform=draw_waveform(event, shape),
        sample_rate=shape.sample_rate,
    )


def draw_frames(event: Bounce, shape: ClipShape) -> Tensor:
    """The video: `frames height width 3`, uint8. Only a window around the object is computed."""
    height, width = shape.height, shape.width
    half = HALF_EXTENTS[event.size] * min(height, width)
    times = torch.arange(shape.num_frames, dtype=torch.float64) / float(shape.frame_rate)
    x, y = event.positions(times, width / height)
    columns = _window(x * width, half, length=width)  # frames window
    rows = _window(y * height, half, length=height)
    from_x = rearrange((columns + 0.5 - x[:, None] * width).float(), "f w -> f 1 w")
    from_y = rearrange((rows + 0.5 - y[:, None] * height).float(), "f h -> f h 1")
    coverage = (0.5 - signed_distance(event.shape, from_x, from_y, half=half)).clamp(0, 1)

    background = torch.tensor(BACKGROUNDS[event.background], dtype=torch.uint8)
    color = torch.tensor(COLORS[event.color]) - background.float()
    patch = (background + coverage[..., None] * color).round().to(torch.uint8)
    frames = repeat(background, "c -> f h w c", f=shape.num_frames, h=height, w=width).contiguous()
    index = torch.arange(shape.num_frames)
    frames[index[:, None, None], rows[:, :, None], columns[:, None, :]] = patch
    return frames


def signed_distance(shape: str, from_x: Tensor, from_y: Tensor, *, half: Tensor | float) -> Tensor:
    """Pixels from the outline, negative inside, for offsets from the centre of the object's box."""
    if shape == "circle":
        return torch.sqrt(from_x**2 + from_y**2) - half
    if shape == "square":
        return torch.maximum(from_x.abs(), from_y.abs()) - half
    sides = TRIANGLE_HEIGHT * from_x.abs() - from_y / 2 - TRIANGLE_HEIGHT / 2 * half
    return torch.maximum(sides, from_y - TRIANGLE_HEIGHT * half)


def draw_waveform(event: Bounce, shape: ClipShape) -> Tensor:
    """The sound: `1 samples`, float32 in [-1, 1]; silence is exactly zero."""
    waveform = torch.zeros(shape.num_samples)
    if event.sound not in PITCHES:
        return waveform[None]
    duration_seconds = shape.num_samples / shape.sample_rate
    impacts = event.impacts(duration_seconds, shape.width / shape.height)
    for impact in impacts:
        first = math.ceil(impact.seconds * shape.sample_rate)
        last = min(shape.num_samples, first + round(PING_SECONDS * shape.sample_rate))
        since = torch.arange(first, last, dtype=torch.float64) / shape.sample_rate - impact.seconds
        amplitude = max(SOFTEST, LOUDEST * impact.speed / event.highest_impact_speed)
        ping = torch.sin(2 * math.pi * PITCHES[event.sound] * since)
        ping *= amplitude * torch.exp(-since / TIME_CONSTANT_SECONDS)
        waveform[first:last] += ping.float()
    return waveform.clamp_(-1, 1)[None]


def _window(centre: Tensor, half: float, *, length: int) -> Tensor:
    """Indices of the pixels around the object in each frame: `frames window`."""
    size = min(length, math.ceil(2 * half) + 4)
    first = (centre - size / 2).round().clamp(0, length - size).long()
    return first[:, None] + torch.arange(size)
