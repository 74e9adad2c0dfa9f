"""Images, still and animated, of files and of PIL."""

import io
import struct
import warnings
from collections.abc import Callable
from fractions import Fraction
from math import gcd
from typing import BinaryIO, cast

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from mmdiff.media.footage import Footage, exact_rate
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
SHORTEST_MS, UNTIMED_MS = 20, 100  # what browsers make of frames that are shorter
ROWS_AT_ONCE = 256
SQUARE_WITHIN = 0.01
DAMAGES = (  # as Pillow meets them
    *(OSError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError),
    *(TypeError, AttributeError, struct.error),
)


def decode_image(file: MediaFile) -> Footage:
    """See `footage_of_image`. Raises RejectedMedia for what is no image, damaged or larger than the
    limits of `file`."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="PIL")  # of what is read or refused anyway
            with Image.open(cast(BinaryIO, file), formats=IMAGE_FORMATS) as image:
                return footage_of_image(image, file.name, limits=file.limits, check=file.check)
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


def footage_of_image(
    image: Image.Image, name: str, *, limits: Limits, check: Callable[[], None] = lambda: None
) -> Footage:
    """One frame, or all those of an animation; upright as the EXIF data say, transparency on white.

    check  is called between the frames, and may raise

    Raises RejectedMedia for an image that is too large or of a kind of numbers that is not read.
    """
    width, height = image.size
    if max(width, height) > limits.max_side:
        text = f"is {height} x {width}; max_side is {limits.max_side}: scale it down"
        raise rejected(name, Reason.TOO_LARGE, "open", text)
    num_frames = getattr(image, "n_frames", 1)
    first = int(getattr(image, "default_image", False))  # of an APNG: shown where none is played
    if num_frames - first == 1 or image.format not in ANIMATED_FORMATS:
        pixels, notes = _pixels(image, name)
        pages = [f"first page of {num_frames}"] if num_frames > 1 else []
        return Footage(torch.from_numpy(pixels)[None], notes=(*notes, *pages))
    size = num_frames * width * height * 3
    if num_frames > limits.max_frames or size > limits.max_decoded_bytes:
        text = f"is too large: {num_frames} frames are {size / GIB:.1f} GiB decoded"
        raise rejected(name, Reason.TOO_LARGE, "open", f"{text}; cut it into shorter clips")
    frames, lengths, notes = [], [], []
    for index in range(first, num_frames):
        check()
        image.seek(index)
        pixels, new_notes = _pixels(image, name)
        frames.append(pixels)
        milliseconds = round(image.info.get("duration", 0))
        lengths.append(milliseconds if milliseconds >= SHORTEST_MS else UNTIMED_MS)
        notes += [note for note in new_notes if note not in notes]
    times = np.append(0, np.cumsum(lengths)) / 1000
    average, common = Fraction(1000 * len(lengths), sum(lengths)), Fraction(1000, gcd(*lengths))
    rate = rate_of_grid(times, (exact_rate(float(average)), common))
    indices = shown_at_ticks(times[:-1], rate, num_ticks=max(round(times[-1] * rate), 1))
    if indices != list(range(len(frames))):
        notes.append(f"uneven frames put on a grid of {float(rate):.6g} fps")
    shown = np.stack([frames[index] for index in indices])
    return Footage(torch.from_numpy(shown), rate, notes=tuple(notes))


def _pixels(image: Image.Image, name: str) -> tuple[np.ndarray, list[str]]:
    """height width 3, uint8, and what was done to the stored image."""
    notes = _unhonoured(image)
    image = ImageOps.exif_transpose(image) if image.getexif().get(0x0112, 1) != 1 else image
    if image.mode.startswith("I;16"):  # Pillow would clip it to 255
        image = Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode not in EIGHT_BITS:
        text = f"holds pixels of the kind {image.mode!r}; save it with 8 or 16 bits a channel"
        raise rejected(name, Reason.UNSUPPORTED, "decode", text)
    image.load()
    pixels, is_transparent = np.empty((image.height, image.width, 3), dtype=np.uint8), False
    for row in range(0, image.height, ROWS_AT_ONCE):  # whole, it would be held several times
        end = min(row + ROWS_AT_ONCE, image.height)
        part = image.crop((0, row, image.width, end))
        if image.has_transparency_data:
            pixels[row:end], is_clear = on_white(np.asarray(part.convert("RGBA")))
            is_transparent |= is_clear
        else:
            pixels[row:end] = np.asarray(part.convert("RGB"))
    return pixels, [*notes, ON_WHITE] if is_transparent else notes


def _unhonoured(image: Image.Image) -> list[str]:
    """Pixels that are not square, as writers of images do not agree which side is which, and
    colours of another profile than sRGB."""
    notes = []
    across, down = image.info.get("jfif_density") or image.info.get("dpi") or (1, 1)
    across, down = image.info.get("aspect") or (across, down)
    if across and down and abs(across / down - 1) >= SQUARE_WITHIN:
        notes.append(f"pixels of {across:.6g} x {down:.6g} to a unit used as square ones")
    if profile := image.info.get("icc_profile"):
        try:
            opened = ImageCms.getOpenProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(opened).strip()
        except (OSError, ImageCms.PyCMSError):
            name = "damaged"
        if "srgb" not in name.lower():
            notes.append(f"colour profile not honoured: {name}")
    return notes
