"""What a condition may be given: an image, a clip or a sound, fitted to the clip that is made (its
rates, size and length), never in silence."""

import warnings
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor

from mmdiff.autoencoders.video_autoencoder import to_unit_range
from mmdiff.media.clip import Clip
from mmdiff.media.media_file import near_name
from mmdiff.media.mono import channels_phrase, to_mono, within_full_scale
from mmdiff.media.resample import change_fps, crop, resample_waveform, resize
from mmdiff.media.transparency import ON_WHITE, on_white
from mmdiff.values.latents import ClipLatents, Modality
from mmdiff.values.shapes import ClipShape, LatentGrid

Media = str | PathLike[str] | Image.Image | np.ndarray | Tensor | Clip


def notice(text: str) -> None:
    """Tell the user that something given is used otherwise than it came."""
    warnings.warn(text, UserWarning, stacklevel=2)


def check_source(name: str, value: object) -> None:
    """Raise TypeError for what is no media, FileNotFoundError for a path to nothing.

    name: of the argument, for the error.
    """
    if isinstance(value, (str, PathLike)):
        path = Path(value)
        if not path.is_file():
            hint = near_name(path) or "give the path of a media file"
            raise FileNotFoundError(f"{name} is {path}, and there is no such file: {hint}")
    elif not isinstance(value, (Image.Image, np.ndarray, Tensor, Clip)):
        legal = "a path, a PIL image, an array, a tensor or a mmdiff.Clip"
        raise TypeError(f"{name} is a {type(value).__name__}; it must be {legal}")


def load(name: str, value: Media) -> Clip | Tensor:
    """A path or an image is read into a Clip, an array becomes a tensor; what was done to it
    meanwhile is reported.

    Raises ValueError naming a damaged file.
    """
    if isinstance(value, (np.ndarray, Tensor)):
        array = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        if array.dtype != torch.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 4:
            return array
        pixels, is_transparent = on_white(array.cpu().numpy())  # as in files with an alpha channel
        if is_transparent:
            notice(f"{name}: {ON_WHITE}")
        return torch.from_numpy(pixels)
    try:
        if isinstance(value, Image.Image):
            # of an animation at another frame, that frame
            clip = Clip.of_image(value if value.tell() == 0 else value.copy())
        else:
            clip = value if isinstance(value, Clip) else Clip.load(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    for note in clip.notes:
        notice(f"{name}: {note}")
    return clip


def load_image(name: str, value: Media) -> Tensor:
    """The image, or the first of several:  1 height width 3, uint8.

    Raises ValueError where there is none.
    """
    loaded = load(name, value)
    frames = loaded.frames if isinstance(loaded, Clip) else _frames(name, loaded)
    if frames is None:
        raise ValueError(f"{name} has audio and no video; give an image")
    return frames[:1]


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


def with_frames(media: ClipLatents, frames: Tensor, first: int = 0) -> ClipLatents:
    """`media` (video 1 3 frames height width, in [-1, 1]) with `frames` (frames height width 3,
    uint8) exactly, from frame `first` on."""
    if media.video is None:
        return media
    video = media.video.clone()
    video[:, :, first : first + len(frames)] = to_unit_range(frames[None]).to(video)
    return media.replace("video", video)


@dataclass(frozen=True, eq=False)
class ClipSource:
    """A clip that was given, read from its file once.

    name         of the argument, for errors and notices
    loaded       see `load`
    sample_rate  of a waveform that came as an array; None: the model's
    """

    name: str
    loaded: Clip | Tensor
    sample_rate: int | None = None

    @classmethod
    def of(cls, name: str, value: Media, *, sample_rate: int | None = None) -> "ClipSource":
        return cls(name, load(name, value), sample_rate)

    def clip(self, grid: LatentGrid) -> Clip:
        """As it was given; arrays  frames height width 3, uint8  at the model's frame rate, and
        channels samples  or  samples, floating point,  at `sample_rate`."""
        array = self.loaded
        if isinstance(array, Clip):
            return array
        parts: dict[str, Any]
        if array.is_floating_point() and array.ndim in (1, 2):
            waveform = array if array.ndim == 2 else rearrange(array, "samples -> 1 samples")
            parts = {"waveform": waveform.float()}
            parts["sample_rate"] = (
                grid.sample_rate if self.sample_rate is None else self.sample_rate
            )
        else:
            parts = {"frames": _frames(self.name, array), "fps": grid.frame_rate}
        try:
            return Clip(**parts)
        except (ValueError, TypeError) as error:
            raise type(error)(f"{self.name}: {error}") from error

    def has(self, modality: Modality, grid: LatentGrid) -> bool:
        clip = self.clip(grid)
        return (clip.frames if modality == "video" else clip.waveform) is not None

    def frames(self, grid: LatentGrid) -> Tensor:
        """frames height width 3, uint8, at the model's frame rate; ValueError without video."""
        clip = self.clip(grid)
        if clip.frames is None:
            raise ValueError(f"{self.name} has audio and no video; give a clip with video")
        if clip.num_frames > 1 and clip.fps != grid.frame_rate:
            notice(
                f"{self.name} has {float(clip.fps):g} frames a second; it is shown at the model's "
                f"{float(grid.frame_rate):g}"
            )
        frames = change_fps(replace(clip, waveform=None, sample_rate=None), grid.frame_rate).frames
        assert frames is not None
        return frames

    def waveform(self, grid: LatentGrid) -> Tensor:
        """1 samples at the model's sample rate; ValueError without audio."""
        clip = self.clip(grid)
        if clip.waveform is None or clip.sample_rate is None:
            raise ValueError(f"{self.name} has video and no audio; give a clip with audio")
        waveform = clip.waveform
        if clip.sample_rate != grid.sample_rate:
            notice(
                f"{self.name} has {clip.sample_rate} samples a second; it is resampled to the "
                f"model's {grid.sample_rate}"
            )
            waveform = resample_waveform(waveform, clip.sample_rate, grid.sample_rate)
        if len(waveform) == 1:
            return waveform
        mono, peak = within_full_scale(to_mono(waveform, clip.channel_layout))
        what = f"{self.name} has {channels_phrase(waveform, clip.channel_layout)}"
        lower = "" if peak is None else f", turned down from {peak:.3g} of full scale"
        notice(f"{what}; they are mixed into one{lower}")
        return mono

    def fitted_frames(self, shape: ClipShape, grid: LatentGrid) -> Tensor:
        """`frames` of the clip's size and length; ValueError where there are too few."""
        frames, wanted = self.frames(grid), shape.num_frames
        if len(frames) < wanted:
            raise ValueError(
                f"{self.name} has {len(frames)} frames at the model's rate, and the clip has "
                f"num_frames {wanted}; make num_frames at most {len(frames)}, or give Extend "
                "instead"
            )
        if len(frames) > wanted:
            notice(f"{self.name} has {len(frames)} frames; the first {wanted} are used")
        return sized(self.name, frames[:wanted], shape)


def _frames(name: str, array: Tensor) -> Tensor:
    if array.dtype in (torch.int16, torch.int32):
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
