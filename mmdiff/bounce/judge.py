"""Read a clip of the world without its caption: the attributes, and when things happen."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from mmdiff.bounce.bounce import BACKGROUNDS, COLORS
from mmdiff.bounce.listening import listen
from mmdiff.bounce.outline import read_outline
from mmdiff.bounce.tracking import track
from mmdiff.bounce.trajectory import read_trajectory
from mmdiff.media.clip import Clip

LEAST_SEEN = 0.5  # share of the frames in which the object must be seen for its motion to be read
LEAST_FRAMES = 5  # fewer do not show a motion


@dataclass(frozen=True)
class Reading:
    """What a clip shows and sounds like, in the words of a `Bounce`; None where it cannot be read.

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
    """Read frames and sound, each where the clip has it."""
    reading = Reading()
    if clip.waveform is not None and clip.sample_rate is not None:
        heard = listen(clip.waveform, clip.sample_rate)
        reading = Reading(sound=heard.sound, onsets=heard.onsets, pitch=heard.pitch)
    if clip.frames is None:
        return reading
    followed = track(clip.frames)
    background = _nearest(BACKGROUNDS, followed.background.median(dim=0).values)
    reading = replace(reading, background=background)
    seen = followed.is_seen
    if not bool(seen.any()):
        return reading
    colors = Counter(_nearest(COLORS, color) for color in followed.color[seen])
    outline = read_outline(followed)
    reading = replace(
        reading,
        color=colors.most_common(1)[0][0],  # that most frames show
        size=outline.size,
        shape=outline.shape,
        overlap=outline.overlap,
    )
    if seen.sum() < LEAST_FRAMES or seen.float().mean() < LEAST_SEEN:
        return reading
    found = read_trajectory(followed, outline, fps=float(clip.fps))
    return replace(reading, motion=found.motion, speed=found.speed, impacts=found.impacts)


def _nearest(named: Mapping[str, tuple[int, int, int]], color: Tensor) -> str:
    values = color.tolist()

    def squared_distance(name: str) -> float:
        return sum((one - other) ** 2 for one, other in zip(named[name], values, strict=True))

    return min(named, key=squared_distance)
