"""Pictures and sound fitted to the clip that is made: its size and length, never in silence."""

import warnings

from torch import Tensor

from mmdiff.media.resample import crop, resize
from mmdiff.values.shapes import ClipShape


def notice(text: str) -> None:
    """Tell the user that something given is used otherwise than it came."""
    warnings.warn(text, UserWarning, stacklevel=2)


def sized(name: str, frames: Tensor, shape: ClipShape) -> Tensor:
    """Frames scaled until they cover the clip's size, and cut to it around their middle.

    frames  frames height width 3, uint8
    """
    height, width = frames.shape[1:3]
    if (height, width) == (shape.height, shape.width):
        return frames
    notice(
        f"{name} is {width} x {height}; it is scaled and cut to {shape.width} x {shape.height}: "
        "height and width of the call change that"
    )
    scale = max(shape.height / height, shape.width / width)
    covering = max(shape.height, round(height * scale)), max(shape.width, round(width * scale))
    return crop(resize(frames, *covering), shape.height, shape.width)


def timed(name: str, frames: Tensor, shape: ClipShape) -> Tensor:
    """The first frames, as many as the clip has; ValueError where there are fewer."""
    count, wanted = len(frames), shape.num_frames
    if count < wanted:
        raise ValueError(
            f"{name} has {count} frames at the model's rate, and the clip has num_frames {wanted}; "
            f"make num_frames at most {count}, or give Extend instead"
        )
    if count > wanted:
        notice(f"{name} has {count} frames; the first {wanted} are used")
    return frames[:wanted]
