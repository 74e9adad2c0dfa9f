"""Images, still and animated, of files and of PIL."""

import io
import struct
import warnings
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import gcd
from typing import Any, BinaryIO, cast

import imageio.v3 as iio
import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from mmdiff.media.clip import Clip, exact_rate
from mmdiff.media.frame_grid import rate_of_grid, shown_at_ticks
from mmdiff.media.limits import GIB, Limits
from mmdiff.media.media_file import MediaFile
from mmdiff.media.rejection import Reason, RejectedMedia, rejected
from mmdiff.media.transparency import ON_WHITE, on_white

ANIMATED_SUFFIXES = (".gif", ".png", ".apng", ".webp")  # that may be
IMAGE_SUFFIXES = (*ANIMATED_SUFFIXES, ".jpg", ".jpeg", ".jfif", ".bmp", ".tif", ".tiff")
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
ANIMATED_FORMATS = ("PNG", "WEBP", "GIF")  # a TIFF has pages
EIGHT_BITS = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
LARGEST_JPEG = 65_500
FASTEST_GIF = 50  # viewers slow down anything below two hundredths of a second
SHORTEST_MS, UNTIMED_MS = 20, 100  # what browsers make of frames that are shorter
ROWS_AT_ONCE = 256
DAMAGES = (  # as Pillow meets them
    *(OSError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError),
    *(TypeError, AttributeError, struct.error),
)
SQUARE_WITHIN = 0.01


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
    """An image file as a clip, see `clip_of_image`.

    Raises RejectedMedia for what is no image, damaged or larger than the limits of `file`.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # of what is read or refused anyway
            with Image.open(cast(BinaryIO, file), formats=IMAGE_FORMATS) as image:
                return clip_of_image(image, file.name, limits=file.limits, check=file.check)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise rejected(file.name, Reason.TOO_LARGE, "open", f"is a bomb: {error}") from error
    except DAMAGES as error:
        file.check()
        if isinstance(error, RejectedMedia):
            raise
        if isinstance(error, UnidentifiedImageError):
            text = "is damaged or not an image: it begins like none that is read"
            raise rejected(file.name, Reason.NOT_MEDIA, "open", text) from error
        text = f"is damaged or not an image: {error}"
        raise rejected(file.name, Reason.DAMAGED, "decode", text) from error


def is_animated(stream: BinaryIO) -> bool:
    """Whether an image has several frames that are shown one behind the other; by its header."""
    try:
        with Image.open(stream, formats=ANIMATED_FORMATS) as image:
            return getattr(image, "is_animated", False)
    except DAMAGES:
        return False  # whoever reads it says why


def clip_of_image(
    image: Image.Image,
    name: str,
    *,
    limits: Limits,
    check: Callable[[], None] = lambda: None,
) -> Clip:
    """An image as a clip of one frame, an animation as a clip of all of them; upright as its EXIF
    data say, transparency on white.

    check  is called between the frames, and may raise

    Raises RejectedMedia for an image that is too large or of a kind of numbers that is not read.
    """
    _check_side(image, name, limits)
    num_frames = getattr(image, "n_frames", 1)
    first = int(getattr(image, "default_image", False))  # of an APNG: shown where none is played
    if num_frames - first == 1 or image.format not in ANIMATED_FORMATS:
        pixels, told = _pixels(image, name)
        pages = [f"first page of {num_frames}"] if num_frames > 1 else []
        return Clip(frames=torch.from_numpy(pixels)[None], notes=(*told, *pages))
    size = num_frames * image.width * image.height * 3
    if num_frames > limits.max_frames or size > limits.max_decoded_bytes:
        text = f"is too large: {num_frames} frames are {size / GIB:.1f} GiB decoded"
        raise rejected(name, Reason.TOO_LARGE, "open", f"{text}; cut it into shorter clips")
    frames: list[Tensor] = []
    lengths: list[int] = []  # milliseconds
    notes: list[str] = []
    for index in range(first, num_frames):
        check()
        image.seek(index)
        pixels, told = _pixels(image, name)
        frames.append(torch.from_numpy(pixels))
        stated = round(image.info.get("duration", 0))
        lengths.append(stated if stated >= SHORTEST_MS else UNTIMED_MS)
        notes += [note for note in told if note not in notes]
    return _on_grid(torch.stack(frames), lengths, notes)


def _on_grid(frames: Tensor, lengths: list[int], notes: list[str]) -> Clip:
    times = np.append(0, np.cumsum(lengths)) / 1000
    average, common = Fraction(1000 * len(lengths), sum(lengths)), Fraction(1000, gcd(*lengths))
    rate = rate_of_grid(times, (exact_rate(float(average)), common))
    indices = shown_at_ticks(times[:-1], rate, num_ticks=max(round(times[-1] * rate), 1))
    if indices == list(range(len(frames))):
        return Clip(frames, rate, notes=tuple(notes))
    notes = [*notes, f"uneven frames put on a grid of {float(rate):.6g} fps"]
    return Clip(frames[indices], rate, notes=tuple(notes))


def _pixels(image: Image.Image, name: str) -> tuple[np.ndarray, list[str]]:
    """height width 3, uint8, and what was done to the stored image."""
    notes = [*_stated_shape(image), *_stated_profile(image)]
    image = ImageOps.exif_transpose(image) if image.getexif().get(0x0112, 1) != 1 else image
    if image.mode.startswith("I;16"):  # Pillow would clip it to 255
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode not in EIGHT_BITS:
        text = f"holds pixels of the kind {image.mode!r}; save it with 8 or 16 bits a channel"
        raise rejected(name, Reason.UNSUPPORTED, "decode", text)
    pixels, is_transparent = _opaque(image)
    return pixels, [*notes, ON_WHITE] if is_transparent else notes


def _stated_shape(image: Image.Image) -> list[str]:
    """Pixels that are not square: writers of images do not agree which side is which."""
    across, down = image.info.get("jfif_density") or image.info.get("dpi") or (1, 1)
    across, down = image.info.get("aspect") or (across, down)
    if not across or not down or abs(across / down - 1) < SQUARE_WITHIN:
        return []
    return [f"pixels of {across:.6g} x {down:.6g} to a unit used as square ones"]


def _stated_profile(image: Image.Image) -> list[str]:
    """Colours of another profile than sRGB are taken as they are."""
    content = image.info.get("icc_profile")
    if not content:
        return []
    try:
        name = ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(content))).strip()
    except (OSError, ImageCms.PyCMSError):
        name = "damaged"
    return [] if "srgb" in name.lower() else [f"colour profile not honoured: {name}"]


def _opaque(image: Image.Image) -> tuple[np.ndarray, bool]:
    """height width 3, and whether any pixel is transparent. Converted by some rows at a time: a
    large image would be held several times."""
    image.load()
    pixels, is_transparent = np.empty((image.height, image.width, 3), dtype=np.uint8), False
    for row in range(0, image.height, ROWS_AT_ONCE):
        end = min(row + ROWS_AT_ONCE, image.height)
        part = image.crop((0, row, image.width, end))
        if image.has_transparency_data:
            pixels[row:end], is_clear = on_white(np.asarray(part.convert("RGBA")))
            is_transparent |= is_clear
        else:
            pixels[row:end] = np.asarray(part.convert("RGB"))
    return pixels, is_transparent


def _check_side(image: Image.Image, name: str, limits: Limits) -> None:
    width, height = image.size
    if max(width, height) > limits.max_side:
        text = f"is {height} x {width}; max_side is {limits.max_side}: scale it down"
        raise rejected(name, Reason.TOO_LARGE, "open", text)


def _encode(pixels: np.ndarray, extension: str, **options: Any) -> bytes:
    encoded: bytes = iio.imwrite("<bytes>", pixels, extension=extension, plugin="pillow", **options)
    return encoded
