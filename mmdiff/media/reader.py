"""The gate of all media files: a clip, or why not."""

from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from mmdiff.media.clip import Clip
from mmdiff.media.decoder import is_image, read_stream
from mmdiff.media.footage import Footage
from mmdiff.media.limits import Limits, Span
from mmdiff.media.media_file import near_name, open_regular
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection, rejected

DEFAULT_LIMITS = Limits()


def decode_clip(
    source: str | PathLike[str] | BinaryIO,
    *,
    name: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    start_seconds: Fraction | float | None = None,
    end_seconds: Fraction | float | None = None,
    at_most_seconds: Fraction | float | None = None,
) -> Clip | Rejection:
    """Read the frames and the sound that a media file shows by default, or an image, still or
    animated; or say why not. Never raises for what is wrong with a file.

    The same bytes give the same clip, in any process. What a file says of itself is honoured:
    pixels that are not square, interlacing, PQ and HLG, transparency, turns by quarters; and noted
    in the clip. Frames of uneven length are put on an even grid, each within 5 ms of its own time.
    The sound starts with the first frame: it is padded with silence, or cut, where the file offsets
    it.

    source         a path, or a stream of bytes that can seek (it is not closed)
    name           of the file in messages; the path where it is None. It or the path says whether
                   it is an image
    start_seconds  of the part to read, counted from the first frame (or sample); moved to the
                   nearest frame, and the sound is cut where the frames are. Only what is needed
                   is decoded.
    end_seconds    of the part to read, in the same way
    at_most_seconds
                   of it that are needed; unlike `end_seconds`, the file may be shorter

    Raises TypeError for a source that is neither a path nor a stream.
    """
    is_path = isinstance(source, (str, PathLike))
    if not is_path and not hasattr(source, "read"):
        raise TypeError(f"source is of type {type(source).__name__}; give a path or a stream")
    if name is None:
        name = str(source if is_path else getattr(source, "name", "a stream of bytes"))
    try:
        try:
            span = Span.between(start_seconds, end_seconds).at_most(at_most_seconds)
        except ValueError as error:
            raise rejected(name, Reason.BAD_SPAN, "open", f"has a bad span: {error}") from error
        if isinstance(source, (str, PathLike)):
            found = _read_path(Path(source), name, span, limits)
        else:
            found = read_stream(source, name, span=span, limits=limits, as_image=is_image(name))
    except RejectedMedia as error:
        return error.rejection
    return Clip.of(found)


def _read_path(path: Path, name: str, span: Span, limits: Limits) -> Footage:
    try:
        with open_regular(path) as stream:
            as_image = is_image(name) or is_image(path)
            return read_stream(stream, name, span=span, limits=limits, as_image=as_image)
    except RejectedMedia:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "is a link to nothing" if path.is_symlink() else "does not exist"
        text = f"{what}; {near_name(path) or 'correct its name'}"
        raise rejected(name, Reason.MISSING, "open", text) from error
    except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
        text = f"cannot be opened: {getattr(error, 'strerror', None) or error}"
        raise rejected(name, Reason.UNREADABLE, "open", text) from error
