"""Images and gifs through imageio."""

from itertools import pairwise
from typing import Any, BinaryIO, cast

import imageio.v3 as iio
import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from mmdiff.media.clip import Clip
from mmdiff.media.media_file import MediaFile
from mmdiff.media.rejection import Reason, RejectedMedia, rejected

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
LARGEST_JPEG = 65_500
FASTEST_GIF = 50  # viewers slow down anything below two hundredths of a second


def encode_strip(frames: Tensor, suffix: str) -> bytes:
    """All frames side by side, as one image: .png, or .jpg, which is nearly so.

    frames  frames height width 3, uint8

    Raises ValueError where a jpg would be wider or higher than that format can be.
    """
    strip = rearrange(frames, "frames height width c -> height (frames width) c").cpu().numpy()
    if suffix == ".png":
        return _encode(strip, suffix)
    if max(strip.shape) > LARGEST_JPEG:
        raise ValueError(
            f"the strip of all frames is {strip.shape[0]} x {strip.shape[1]}; "
            f"a jpg has sides up to {LARGEST_JPEG}: save it as .png"
        )
    return _encode(strip, suffix, quality=95, subsampling=0)


def encode_gif(clip: Clip) -> bytes:
    """An endless gif at the speed of the clip: gifs count hundredths of a second, so the frames'
    lengths vary by one.

    Raises ValueError above 50 frames a second, which viewers do not play.
    """
    if clip.frames is None:
        raise ValueError("a gif needs frames; this clip has sound only")
    if clip.fps > FASTEST_GIF:
        raise ValueError(
            f"fps is {clip.fps}; a gif plays at most {FASTEST_GIF}: change the rate to that"
        )
    ends = [round(index * 100 / clip.fps) for index in range(clip.num_frames + 1)]
    durations = [10 * (end - start) for start, end in pairwise(ends)]
    # Pillow takes a list only where there are several frames
    duration = durations if clip.num_frames > 1 else durations[0]
    return _encode(clip.frames.cpu().numpy(), ".gif", duration=duration, loop=0)


def decode_image(file: MediaFile) -> Clip:
    """An image as a clip of one frame, upright as its EXIF data say, without its transparency.

    Raises RejectedMedia for what is no image, damaged or larger than the limits of `file`.
    """
    try:
        with Image.open(cast(BinaryIO, file), formats=IMAGE_FORMATS) as image:
            _check_side(file, image)
            pixels = np.array(ImageOps.exif_transpose(_eight_bits(image)).convert("RGB"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise rejected(file.name, Reason.TOO_LARGE, "open", f"is a bomb: {error}") from error
    except (OSError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError) as error:
        file.check()
        if isinstance(error, RejectedMedia):
            raise
        if isinstance(error, UnidentifiedImageError):
            text = "is damaged or not an image: it begins like none that is read"
            raise rejected(file.name, Reason.NOT_MEDIA, "open", text) from error
        text = f"is damaged or not an image: {error}"
        raise rejected(file.name, Reason.DAMAGED, "decode", text) from error
    return Clip(frames=rearrange(torch.from_numpy(pixels), "height width c -> 1 height width c"))


def _check_side(file: MediaFile, image: Image.Image) -> None:
    width, height = image.size
    if max(width, height) > file.limits.max_side:
        text = f"is {height} x {width}; max_side is {file.limits.max_side}: scale it down"
        raise rejected(file.name, Reason.TOO_LARGE, "open", text)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Pillow would clip 16 bits of gray to 255."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))


def _encode(pixels: np.ndarray, extension: str, **options: Any) -> bytes:
    encoded: bytes = iio.imwrite("<bytes>", pixels, extension=extension, plugin="pillow", **options)
    return encoded
