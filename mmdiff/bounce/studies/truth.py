"""Truth: an event of the bounce world with its true clip; what is asked of it, what was made."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mmdiff.bounce.adherence import Pair
from mmdiff.bounce.bounce import STILL, Bounce
from mmdiff.bounce.caption import caption
from mmdiff.bounce.dataset import random_prompts
from mmdiff.bounce.draw import draw
from mmdiff.bounce.judge import Reading
from mmdiff.conditioning.condition import Condition
from mmdiff.media.clip import Clip
from mmdiff.values.shapes import ClipShape


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
        speed = "" if self.event.motion == STILL else f" {self.event.speed}"
        ending = "" if self.event.is_silent else " at each bounce"
        return f"an object {self.event.motion}{speed}, {self.event.sound}{ending}"

    @property
    def frames(self) -> Tensor:
        """frames height width 3, uint8"""
        assert self.clip.frames is not None
        return self.clip.frames

    @property
    def silent(self) -> Clip:
        """The video alone."""
        return Clip(frames=self.clip.frames, fps=self.clip.fps)

    @property
    def impacts(self) -> list[float]:
        """Seconds of every touch of a wall within the clip."""
        _, height, width = self.clip.shape
        seconds = float(self.clip.video_seconds)
        return [impact.seconds for impact in self.event.impacts(seconds, width / height)]

    @property
    def seen_impacts(self) -> list[float]:
        """Those up to the last frame: what comes after it, no frame shows."""
        last = float((self.clip.num_frames - 1) / self.clip.fps)
        return [seconds for seconds in self.impacts if seconds <= last]


@dataclass(frozen=True)
class Asked:
    """What is asked of the pipeline for one clip; and the same as words of the command line.

    given: the media that the conditions are made of
    words: the conditions, where `{0}`, `{1}` stand for files that hold the media
    """

    prompt: str
    conditions: tuple[Condition, ...] = ()
    given: tuple[Clip, ...] = ()
    words: tuple[str, ...] = ()


Ask = Callable[[Truth], Asked]


@dataclass(frozen=True)
class Made:
    """A clip that a pipeline made, and what the judge reads in it."""

    truth: Truth
    clip: Clip
    reading: Reading

    @property
    def pair(self) -> Pair:
        return self.truth.event, self.reading

    @property
    def frames(self) -> Tensor:
        """frames height width 3, uint8"""
        assert self.clip.frames is not None
        return self.clip.frames


def draw_truths(
    count: int, seed: int, *, shape: ClipShape, is_sounding: bool = False
) -> list[Truth]:
    """The first `count` events of the prompts of this seed (with pings only, if asked), drawn."""
    events = random_prompts(3 * count + 20, seed, held_out=False)  # enough of them have pings
    chosen = [event for event in events if not (event.is_silent and is_sounding)][:count]
    return [Truth(event, draw(event, shape)) for event in chosen]
