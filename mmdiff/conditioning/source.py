"""What a picture, a clip or a sound may be given as: a path, an image, an array, a tensor, a
Clip."""

import difflib
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from mmdiff.media.clip import Clip
from mmdiff.media.reader import read_clip
from mmdiff.values.shapes import LatentGrid

Picture = str | PathLike[str] | Image.Image | np.ndarray | Tensor | Clip
Media = str | PathLike[str] | np.ndarray | Tensor | Clip
Loaded = Clip | Tensor


def check_source(name: str, value: object, *, is_picture: bool = False) -> None:
    """Raise TypeError for what is no picture (or no clip), FileNotFoundError for a path to nothing.

    name: of the argument, for the error.
    """
    if isinstance(value, (str, PathLike)):
        _check_file(name, Path(value))
        return
    kinds = (Image.Image, np.ndarray, Tensor, Clip) if is_picture else (np.ndarray, Tensor, Clip)
    if not isinstance(value, kinds):
        legal = "a path, a PIL image, an array, a tensor or a mmdiff.Clip"
        if not is_picture:
            legal = "a path, an array, a tensor or a mmdiff.Clip"
        raise TypeError(f"{name} is a {type(value).__name__}; it must be {legal}")


def load(name: str, value: Picture) -> Loaded:
    """A path is read into a Clip, an image or array becomes a tensor; the rest stays as it is.

    Raises ValueError naming a damaged file.
    """
    if isinstance(value, (str, PathLike)):
        try:
            return read_clip(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    if isinstance(value, Image.Image):
        return torch.from_numpy(np.array(value.convert("RGB")))
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


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
    beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    cure = f"did you mean {path.with_name(near[0])}?" if near else "give the path of a media file"
    raise FileNotFoundError(f"{name} is {path}, and there is no such file: {cure}")
