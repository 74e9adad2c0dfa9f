"""The picture of a clip at the size, rate and length of a spec."""

from fractions import Fraction

import torch
from torch import Tensor

from mmdiff.data.files.clip_spec import ClipSpec
from mmdiff.media.clip import Clip
from mmdiff.media.resample import crop, resize

FRAMES_AT_ONCE = 8  # scaled in float, which takes four times the memory of the frames


def upscale(clip: Clip, spec: ClipSpec) -> float:
    """The factor by which the picture is enlarged until it covers the size of the spec."""
    _, height, width = clip.shape
    return max(spec.height / height, spec.width / width)


def fit_picture(
    clip: Clip, spec: ClipSpec, *, start_seconds: Fraction, place: tuple[float, float]
) -> tuple[Tensor, tuple[str, ...]]:
    """frames height width 3, uint8, from `start_seconds` on; and what was done to get there.

    Each frame is the one on the screen at its moment; behind the end the last one is held. `place`
    is where the crop lies, from 0 (top, left) to 1.
    """
    assert clip.frames is not None
    indices, adaptations = _moments(clip, spec, start_seconds)
    _, height, width = clip.shape
    factor = upscale(clip, spec)
    box = min(height, round(spec.height / factor)), min(width, round(spec.width / factor))
    top = min(int(place[0] * (height - box[0] + 1)), height - box[0])
    left = min(int(place[1] * (width - box[1] + 1)), width - box[1])
    frames = crop(clip.frames, *box, top=top, left=left)[indices]
    if box != (height, width):
        adaptations.append(f"cropped {height} x {width} -> {box[0]} x {box[1]}")
    if box != (spec.height, spec.width):
        adaptations.append(f"scaled {box[0]} x {box[1]} -> {spec.height} x {spec.width}")
        parts = frames.split(FRAMES_AT_ONCE)
        frames = torch.cat([resize(part, spec.height, spec.width) for part in parts])
    return frames, tuple(adaptations)


def _moments(clip: Clip, spec: ClipSpec, start: Fraction) -> tuple[list[int], list[str]]:
    """The frame on the screen at each tick of the spec."""
    if clip.num_frames == spec.num_frames == 1:
        return [0], []
    adaptations: list[str] = []
    if clip.fps != spec.rate:
        adaptations.append(f"{float(clip.fps):.6g} -> {float(spec.rate):.6g} fps")
    ticks = [start + index / spec.rate for index in range(spec.num_frames)]
    num_held = sum(tick >= clip.video_seconds for tick in ticks)
    if num_held:
        adaptations.append(f"last frame held for {float(num_held / spec.rate):.3g} s")
    last = clip.num_frames - 1
    return [min(int(tick * clip.fps), last) for tick in ticks], adaptations
