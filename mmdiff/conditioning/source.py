"""What a picture, a clip or a sound may be given as: a path, an image, an array, a tensor, a
Clip."""

from os import PathLike
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from mmdiff.conditioning import fit
from mmdiff.media.clip import Clip
from mmdiff.media.media_file import near_name
from mmdiff.media.transparency import ON_WHITE, on_white
from mmdiff.values.shapes import LatentGrid

Picture = str | PathLike[str] | Image.Image | np.ndarray | Tensor | Clip
Media = Picture
Loaded = Clip | Tensor
INTEGER_SAMPLES = (torch.int16, torch.int32)


def check_source(name: str, value: object, *, is_picture: bool = False) -> None:
    """Raise TypeError for what is no picture (or no clip), FileNotFoundError for a path to nothing.

    name: of the argument, for the error.
    """
    if isinstance(value, (str, PathLike)):
        _check_file(name, Path(value))
        return
    if not isinstance(value, (Image.Image, np.ndarray, Tensor, Clip)):
        legal = "a path, a PIL image, an array, a tensor or a mmdiff.Clip"
        raise TypeError(f"{name} is a {type(value).__name__}; it must be {legal}")


def load(name: str, value: Picture) -> Loaded:
    """A path or an image is read into a Clip, an array becomes a tensor; the rest stays as it is.
    What was done to it meanwhile is reported.

    Raises ValueError naming a damaged file.
    """
    if isinstance(value, (np.ndarray, Tensor)):
        array = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        return _opaque(name, array)
    clip = _read(name, value)
    for note in clip.notes:
        fit.notice(f"{name}: {note}")
    return clip


def _read(name: str, value: str | PathLike[str] | Image.Image | Clip) -> Clip:
    if isinstance(value, Clip):
        return value
    try:
        if isinstance(value, Image.Image):
            still = value if value.tell() == 0 else value.copy()  # an animation at another frame
            return Clip.of_image(still)
        return Clip.load(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _opaque(name: str, array: Tensor) -> Tensor:
    """Frames with an alpha channel on the background that those of files are on."""
    if array.dtype != torch.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 4:
        return array
    pixels, is_transparent = on_white(array.cpu().numpy())
    if is_transparent:
        fit.notice(f"{name}: {ON_WHITE}")
    return torch.from_numpy(pixels)


def picture(name: str, loaded: Loaded) -> Tensor:
    """The picture, or the first of several:  1 height width 3, uint8.

    Raises ValueError where there is none.
    """
    frames = loaded.frames if isinstance(loaded, Clip) else _frames(name, loaded)
    if frames is None:
        raise ValueError(f"{name} has sound and no picture; give an image")
    return frames[:1]


def clip(name: str, loaded: Loaded, *, grid: LatentGrid, sample_rate: int | None = None) -> Clip:
    """What was loaded, as a Clip: arrays  frames height width 3, uint8  at the model's frame rate,
    and  channels samples  or  samples, floating point,  at `sample_rate` (None: the model's)."""
    if isinstance(loaded, Clip):
        return loaded
    if loaded.is_floating_point() and loaded.ndim in (1, 2):
        waveform = loaded if loaded.ndim == 2 else rearrange(loaded, "samples -> 1 samples")
        rate = grid.sample_rate if sample_rate is None else sample_rate
        return _named(name, Clip, waveform=waveform.float(), sample_rate=rate)
    return _named(name, Clip, frames=_frames(name, loaded), fps=grid.frame_rate)


def _frames(name: str, array: Tensor) -> Tensor:
    if array.dtype in INTEGER_SAMPLES:
        raise ValueError(
            f"{name} is {array.dtype} of shape {tuple(array.shape)}; frames are uint8, and samples "
            f"floats in [-1, 1]: divide them by {torch.iinfo(array.dtype).max + 1}"
        )
    frames = rearrange(array, "h w c -> 1 h w c") if array.ndim == 3 else array
    if frames.dtype != torch.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(
            f"{name} is {array.dtype} of shape {tuple(array.shape)}; it must be uint8 of "
            "(height, width, 3) or (frames, height, width, 3), 0 to 255"
        )
    return frames


def _named(name: str, kind: type[Clip], **parts: object) -> Clip:
    try:
        return kind(**parts)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise type(error)(f"{name}: {error}") from error


def _check_file(name: str, path: Path) -> None:
    if path.is_file():
        return
    hint = near_name(path) or "give the path of a media file"
    raise FileNotFoundError(f"{name} is {path}, and there is no such file: {hint}")
