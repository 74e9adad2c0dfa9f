"""Read a clip of the world without its caption: the attributes, and when things happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmdiff.bounce.bounce import BACKGROUNDS, COLORS, TRIANGLE_HEIGHT
from mmdiff.bounce.listening import Heard, listen
from mmdiff.bounce.outline import CENTROIDS, Outline, read_outline
from mmdiff.bounce.tracking import Track, track
from mmdiff.bounce.trajectory import Trajectory, read_trajectory
from mmdiff.media.clip import Clip

LEAST_SEEN = 0.5
"""Share of the frames in which the object must be seen for its motion to be read."""

LEAST_FRAMES = 5
"""Fewer do not show a motion."""


@dataclass(frozen=True)
class Reading:
    """What a clip shows and sounds like, in the words of a `Bounce`; None where it cannot be told.

    `impacts` and `onsets` are seconds from the start, `pitch` Hz, `overlap` how well (0 to 1) the
    object's outline is that of its shape.
    """

    background: str | None = None
    color: str | None = None
    size: str | None = None
    shape: str | None = None
    motion: str | None = None
    speed: str | None = None
    sound: str | None = None
    impacts: tuple[float, ...] = ()
    onsets: tuple[float, ...] = ()
    pitch: float | None = None
    overlap: float = 0.0


def judge(clip: Clip) -> Reading:
    """Read picture and sound, each where the clip has it."""
    heard = _hear(clip)
    if clip.frames is None:
        return Reading(sound=heard.sound, onsets=heard.onsets, pitch=heard.pitch)
    followed = track(clip.frames)
    seen = followed.is_seen
    outline = read_outline(followed) if bool(seen.any()) else None
    trajectory = _trajectory(followed, outline, fps=float(clip.fps))
    return Reading(
        background=_nearest(BACKGROUNDS, followed.background.median(dim=0).values),
        color=_vote(followed) if outline else None,
        size=outline.size if outline else None,
        shape=outline.shape if outline else None,
        motion=trajectory.motion if trajectory else None,
        speed=trajectory.speed if trajectory else None,
        sound=heard.sound,
        impacts=trajectory.impacts if trajectory else (),
        onsets=heard.onsets,
        pitch=heard.pitch,
        overlap=outline.overlap if outline else 0.0,
    )


def _hear(clip: Clip) -> Heard:
    if clip.waveform is None or clip.sample_rate is None:
        return Heard(sound=None, onsets=(), pitch=None, level=0.0)
    return listen(clip.waveform, clip.sample_rate)


def _trajectory(followed: Track, outline: Outline | None, *, fps: float) -> Trajectory | None:
    seen = followed.is_seen
    if outline is None or seen.sum() < LEAST_FRAMES or seen.float().mean() < LEAST_SEEN:
        return None
    height, width = followed.coverage.shape[1:]
    side = min(height, width)
    half = outline.half_extent * side
    half_height = half * (TRIANGLE_HEIGHT if outline.shape == "triangle" else 1.0)
    box_y = followed.y - CENTROIDS[outline.shape] * half
    return read_trajectory(
        followed.x[seen].double() / width,
        box_y[seen].double() / height,
        times=torch.nonzero(seen)[:, 0].double() / fps,
        half_extents=(half / width, half_height / height),
    )


def _vote(followed: Track) -> str:
    """The color that most frames show."""
    colors = followed.color[followed.is_seen]
    return Counter(_nearest(COLORS, color) for color in colors).most_common(1)[0][0]


def _nearest(named: Mapping[str, tuple[int, int, int]], color: Tensor) -> str:
    red, green, blue = color.tolist()
    return min(
        named,
        key=lambda name: (
            (named[name][0] - red) ** 2
            + (named[name][1] - green) ** 2
            + (named[name][2] - blue) ** 2
        ),
    )
