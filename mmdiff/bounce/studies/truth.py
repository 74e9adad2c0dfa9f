"""Truth: an event of the bounce world with its true clip; and the prompts that leave things out."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mmdiff.bounce.bounce import PITCHES, Bounce
from mmdiff.bounce.caption import caption
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape

SILENT = "no sound"


@dataclass(frozen=True)
class Truth:
    """What a clip should be, and the clip drawn by formula."""

    event: Bounce
    clip: Clip

    @property
    def prompt(self) -> str:
        """The canonical caption: every attribute."""
        return caption(self.event)

    @property
    def prompt_without_pitch(self) -> str:
        """The caption that says that there are pings, and not which."""
        return self.prompt.replace(self.event.sound, "a ping")

    @property
    def prompt_of_motion(self) -> str:
        """What happens, and not what it looks like."""
        speed = "" if self.event.motion == "standing still" else f" {self.event.speed}"
        ending = "" if self.event.sound == SILENT else " at each bounce"
        return f"an object {self.event.motion}{speed}, {self.event.sound}{ending}"

    @property
    def silent(self) -> Clip:
        """The picture alone."""
        return Clip(frames=self.clip.frames, fps=self.clip.fps)

    @property
    def impacts(self) -> tuple[float, ...]:
        """Seconds of every touch of a wall within the clip."""
        _, height, width = self.clip.shape
        seconds = float(self.clip.video_seconds)
        return tuple(impact.seconds for impact in self.event.impacts(seconds, width / height))

    @property
    def seen_impacts(self) -> tuple[float, ...]:
        """Those up to the last frame: what comes after it, no picture shows."""
        last = float((self.clip.num_frames - 1) / self.clip.fps)
        return tuple(seconds for seconds in self.impacts if seconds <= last)


def frames_of(truth: Truth) -> Tensor:
    """frames height width 3, uint8."""
    frames = truth.clip.frames
    assert frames is not None
    return frames


def draw_truths(
    count: int, seed: int, *, shape: ClipShape, is_sounding: bool = False
) -> list[Truth]:
    """The first `count` events of the prompts of this seed (with pings only, if asked), drawn."""
    events: Sequence[Bounce] = random_prompts(3 * count + 20, seed, held_out=False)
    chosen = [event for event in events if event.sound in PITCHES or not is_sounding][:count]
    return [Truth(event, draw(event, shape)) for event in chosen]
