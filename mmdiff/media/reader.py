"""Files to clips, through PyAV: a damaged file is an error, never a clip."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from os import PathLike
from pathlib import Path
from typing import BinaryIO

import av

from mmdiff.media.clip import Clip
from mmdiff.media.container_header import (
    Container,
    checked_tracks,
    container_of,
)
from mmdiff.media.cut_off import is_cut_off, lacks_media
from mmdiff.media.decoded_clip import CONTAINERS, OTHER_CONTAINERS, decode_media
from mmdiff.media.limits import Limits
from mmdiff.media.matroska import check_sums
from mmdiff.media.media_file import MediaFile, near_name, open_regular
from mmdiff.media.named_kinds import kind_that_is_not_read
from mmdiff.media.rejection import Reason, RejectedMedia, Rejection, rejected
from mmdiff.media.resample import cut
from mmdiff.media.span import Span
from mmdiff.media.still import IMAGE_SUFFIXES, decode_image

DEFAULT_LIMITS = Limits()
ENTRY_SECONDS = Fraction(1, 2)  # before a span: codecs of sound need what came before
DAMAGES = (av.FFmpegError, EOFError, MemoryError, ArithmeticError, LookupError, ValueError)


def decode_clip(
    source: str | PathLike[str] | BinaryIO,
    *,
    name: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
    start_seconds: Fraction | float | None = None,
    end_seconds: Fraction | float | None = None,
    at_most_seconds: Fraction | float | None = None,
) -> Clip | Rejection:
    """Read the picture and the sound that a media file shows by default, or an image, still or
    animated; or say why not. Never raises for what is wrong with a file.

    The same bytes give the same clip, in any process. What a file says of itself is honoured:
    pixels that are not square, interlacing, PQ and HLG, transparency, turns by quarters; and noted
    in the clip. Frames of uneven length are put on an even grid, each within 5 ms of its own time.
    The sound starts with the picture: it is padded with silence, or cut, where the file offsets it.

    source         a path, or a stream of bytes that can seek (it is not closed)
    name           of the file in messages; the path where it is None. It or the path says whether
                   it is an image
    start_seconds  of the part to read, counted from the first picture (or sample); moved to the
                   nearest frame, and the sound is cut where the frames are. Only what is needed
                   is decoded.
    end_seconds    of the part to read, in the same way
    at_most_seconds
                   of it that are needed; unlike `end_seconds`, the file may be shorter

    Raises TypeError for a source that is neither a path nor a stream.
    """
    if not isinstance(source, (str, PathLike)) and not hasattr(source, "read"):
        raise TypeError(f"source is of type {type(source).__name__}; give a path or a stream")
    if name is None:
        name = str(source) if isinstance(source, (str, PathLike)) else _name_of(source)
    try:
        span = _span(name, start_seconds, end_seconds)
        span = span.at_most(at_most_seconds)
        if isinstance(source, (str, PathLike)):
            return _read_path(Path(source), name, span=span, limits=limits)
        return _read_stream(source, name, span=span, limits=limits, is_image=_is_image(name))
    except RejectedMedia as error:
        return error.rejection


def read_clip(path: str | PathLike[str]) -> Clip:
    """As `decode_clip`, the whole file, with errors.

    Raises FileNotFoundError, IsADirectoryError or PermissionError, and ValueError (RejectedMedia)
    naming a file that is damaged, truncated, too large for memory or no media.
    """
    with open_regular(Path(path)) as stream:
        is_image = _is_image(path)
        return _read_stream(
            stream, str(path), span=Span(), limits=DEFAULT_LIMITS, is_image=is_image
        )


def _span(name: str, start: Fraction | float | None, end: Fraction | float | None) -> Span:
    try:
        return Span.between(start, end)
    except ValueError as error:
        raise rejected(name, Reason.BAD_SPAN, "open", f"has a bad span: {error}") from error


def _name_of(stream: BinaryIO) -> str:
    return str(getattr(stream, "name", "a stream of bytes"))


def _read_path(path: Path, name: str, *, span: Span, limits: Limits) -> Clip:
    try:
        with open_regular(path) as stream:
            is_image = _is_image(name) or _is_image(path)
            return _read_stream(stream, name, span=span, limits=limits, is_image=is_image)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "is a link to nothing" if path.is_symlink() else "does not exist"
        text = f"{what}; {near_name(path) or 'correct its name'}"
        raise rejected(name, Reason.MISSING, "open", text) from error
    except (OSError, ValueError) as error:
        if isinstance(error, RejectedMedia):
            raise
        text = f"cannot be opened: {getattr(error, 'strerror', None) or error}"
        raise rejected(name, Reason.UNREADABLE, "open", text) from error


def _is_image(name: str | PathLike[str]) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def _read_stream(
    stream: BinaryIO, name: str, *, span: Span, limits: Limits, is_image: bool
) -> Clip:
    file = MediaFile(stream, name, limits)
    if kind := kind_that_is_not_read(file):
        raise rejected(name, Reason.UNSUPPORTED, "open", kind)
    if is_image:
        return _part_of_image(decode_image(file), name, span)
    container = container_of(file)
    try:
        is_short = is_cut_off(file, container)
        if is_short and lacks_media(file, container):
            text = "is truncated: it states that it is longer; fetch it again"
            raise rejected(name, Reason.TRUNCATED, "open", text)
        kinds = checked_tracks(file, container)
        demuxers = container if container in OTHER_CONTAINERS.split(",") else CONTAINERS
        decode = partial(decode_media, file, demuxers=demuxers, span=span, kinds=kinds)
        clip = _entered(file, span, decode) or decode(is_cut_off=is_short)
        if container == "matroska":
            check_sums(file)
            file.check()
        return clip
    except DAMAGES as error:
        file.check()  # a read that failed is the cause of whatever came of it
        if isinstance(error, RejectedMedia):
            raise
        raise _refusal(error, file, container) from error


def _part_of_image(clip: Clip, name: str, span: Span) -> Clip:
    """The span of an animation; of a still image there is none."""
    is_still = clip.num_frames == 1
    if span.is_whole or (is_still and span.start_seconds == 0 and span.is_limit):
        return clip
    if is_still:
        raise rejected(name, Reason.BAD_SPAN, "open", "is an image: leave the span out")
    end = clip.duration_seconds if span.end_seconds is None else span.end_seconds
    if span.is_limit:
        end = min(end, clip.duration_seconds)
    try:
        return cut(clip, span.start_seconds, end - span.start_seconds)
    except ValueError as error:
        raise rejected(name, Reason.BAD_SPAN, "decode", f"has a bad span: {error}") from error


def _entered(file: MediaFile, span: Span, decode: Callable[..., Clip]) -> Clip | None:
    """The span, decoded from the key frame before it; None where that does not work: there may be
    no such frame, or frames that need those before it."""
    if span.start_seconds <= ENTRY_SECONDS:
        return None
    try:
        return decode(enter_at=span.start_seconds - ENTRY_SECONDS)
    except DAMAGES:
        file.check()
        return None


def _refusal(error: BaseException, file: MediaFile, container: Container | None) -> RejectedMedia:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = f"is damaged or not a media file: {text}"
    if isinstance(error, av.error.ExitError):
        text = f"takes longer than {file.limits.max_seconds:g} seconds; raise max_seconds"
        return rejected(file.name, Reason.TOO_SLOW, "open", text)
    if isinstance(error, MemoryError):
        text = "does not fit into memory; cut it into shorter clips"
        return rejected(file.name, Reason.TOO_LARGE, "decode", text)
    if container is None:
        return rejected(file.name, Reason.NOT_MEDIA, "open", text)
    if is_cut_off(file, container):
        text = f"{text}; it states that it is longer: fetch it again"
        return rejected(file.name, Reason.TRUNCATED, "open", text)
    return rejected(file.name, Reason.DAMAGED, "decode", text)
