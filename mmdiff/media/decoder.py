"""Files to footage, through PyAV: frames and sound decoded side by side, bounded, on one clock; a
damaged file is an error, never footage."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import av

from mmdiff.media.container import Container, check_end, check_kind, container_of
from mmdiff.media.decoded_frames import DecodedFrames
from mmdiff.media.decoded_sound import DecodedSound
from mmdiff.media.footage import Footage
from mmdiff.media.limits import Limits, Span
from mmdiff.media.media_file import MediaFile, open_regular
from mmdiff.media.rejection import Reason, RejectedMedia
from mmdiff.media.still import IMAGE_SUFFIXES, decode_image

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,wav,flac,mp3,ogg"  # no playlists, no pipes
OTHER_CONTAINERS = ("mpegts", "mpeg", "flv", "asf", "aiff")  # for what begins as one of them alone
# Without explode a flipped bit decodes to garbage and no error; crccheck is for flac, mp3 and ogg.
STRICT = {"err_detect": "crccheck+explode"}
FENCE = {
    "protocol_whitelist": "none",  # FFmpeg reads what it is handed and opens nothing by itself
    "max_streams": "64",
}
LENGTH_SLACK_SECONDS = Fraction(1, 4)
ENTRY_SECONDS = Fraction(1, 2)  # before a span: codecs of sound need what came before
# What FFmpeg raises for damage, with what comes of numbers that no file should hold.
DAMAGES = (av.FFmpegError, EOFError, MemoryError, ArithmeticError, LookupError, ValueError)
Stream = TypeVar("Stream", av.VideoStream, av.AudioStream)

# Titles in another encoding are no damage. PyAV 19 reads them so by itself, without the argument.
_ANY_METADATA: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)


def is_image(name: str | PathLike[str]) -> bool:
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def read_file(path: str | PathLike[str]) -> Footage:
    """A whole file within the usual limits.

    Raises FileNotFoundError, IsADirectoryError or PermissionError, and RejectedMedia, a ValueError,
    naming a file that is damaged, truncated, too large for memory or no media.
    """
    with open_regular(Path(path)) as stream:
        return read_stream(stream, str(path), span=Span(), limits=Limits(), as_image=is_image(path))


def read_stream(
    stream: BinaryIO, name: str, *, span: Span, limits: Limits, as_image: bool
) -> Footage:
    """The frames and the sound that a file shows by default, or an image. Raises RejectedMedia."""
    file = MediaFile(stream, name, limits)
    check_kind(file)
    if as_image:
        return _part_of_image(file, span)
    container = container_of(file)
    try:
        check_end(file, container)
        if span.start_seconds > ENTRY_SECONDS:
            try:
                return _decoded(file, container, span, enter_at=span.start_seconds - ENTRY_SECONDS)
            except DAMAGES:  # no such key frame, or frames that need those before it
                file.check()
        return _decoded(file, container, span)
    except DAMAGES as error:
        file.check()  # a read that failed is the cause of whatever came of it
        if isinstance(error, RejectedMedia):
            raise
        raise _rejection(error, file, container) from error


def _part_of_image(file: MediaFile, span: Span) -> Footage:
    """The span of an animation; of a still image there is none."""
    image = decode_image(file)
    is_still = image.num_frames == 1
    if span.is_whole or (is_still and span.start_seconds == 0 and span.is_limit):
        return image
    if is_still:
        raise file.rejection(Reason.BAD_SPAN, "is an image: leave the span out", "open")
    length, end = image.duration_seconds, span.end_seconds
    if span.start_seconds >= length or (end is not None and end > length and not span.is_limit):
        text = f"has a bad span: it is {float(length):.2f} seconds long, the span asks for {span}"
        raise file.rejection(Reason.BAD_SPAN, text)
    assert image.frames is not None
    first = min(round(span.start_seconds * image.fps), image.num_frames - 1)
    last = image.num_frames if end is None else round(end * image.fps)
    return replace(image, frames=image.frames[first : max(last, first + 1)])


def _rejection(error: BaseException, file: MediaFile, container: Container | None) -> RejectedMedia:
    if isinstance(error, av.error.ExitError):
        text = f"takes longer than {file.limits.max_seconds:g} seconds; raise max_seconds"
        return file.rejection(Reason.TOO_SLOW, text, "open")
    if isinstance(error, MemoryError):
        text = "does not fit into memory; cut it into shorter clips"
        return file.rejection(Reason.TOO_LARGE, text)
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = f"is damaged or not a media file: {text}"
    if container is None:
        return file.rejection(Reason.NOT_MEDIA, text, "open")
    return file.rejection(Reason.DAMAGED, text)


def _decoded(
    file: MediaFile, container: Container | None, span: Span, *, enter_at: Fraction | None = None
) -> Footage:
    """From the begin of the file on; `enter_at`: from the key frame before that many seconds.

    Raises RejectedMedia, or another of DAMAGES.
    """
    file.seek(0)
    left = max(file.seconds_left, 0.01)
    max_pixels = {"max_pixels": str(file.limits.max_side**2)}  # before the decoder reserves memory
    demuxers = container if container in OTHER_CONTAINERS else CONTAINERS
    options = {**STRICT, **FENCE, **max_pixels, "format_whitelist": demuxers}
    with av.open(file, "r", options=options, timeout=(left, left), **_ANY_METADATA) as opened:
        file.check()
        decoding = _Decoding(file, opened, span)
        for stream in decoding.streams:
            stream.codec_context.thread_count = 1  # workers are forked, and bytes must not vary
            stream.codec_context.options = {**STRICT, **max_pixels}
        decoding.check_claims()
        if enter_at is not None:
            decoding.enter(enter_at)
        decoding.run()
        if enter_at is not None and any(one.is_late for one in decoding.modalities):
            raise file.rejection(Reason.DAMAGED, "cannot be entered in front of the span")
        decoding.check_length()
    return decoding.footage()


class _Decoding:
    """Of one open file: its first or default stream of frames, and that of sound."""

    def __init__(self, file: MediaFile, container: av.container.InputContainer, span: Span) -> None:
        self.file, self.container, self.span = file, container, span
        self.claimed_seconds = Fraction(container.duration or 0, av.time_base)
        self.notes: list[str] = []
        cover = av.stream.Disposition.attached_pic
        videos = [one for one in container.streams.video if not one.disposition & cover]
        video = self._default_of(videos, "video")
        audio = self._default_of(container.streams.audio, "audio")
        self.streams = [stream for stream in (video, audio) if stream is not None]
        if not self.streams:
            raise file.rejection(Reason.EMPTY, "holds neither video nor audio", "open")
        self.video = None if video is None else DecodedFrames(file, video, span)
        self.audio = None if audio is None else DecodedSound(file, audio, span, self.video)
        self.modalities: list[DecodedFrames | DecodedSound] = [
            one for one in (self.video, self.audio) if one is not None
        ]

    def _default_of(self, streams: Sequence[Stream], what: str) -> Stream | None:
        """The stream that players take, if there is one: the first that is marked as the default,
        or the first of all."""
        default = av.stream.Disposition.default
        chosen = next((one for one in streams if one.disposition & default), None)
        chosen = chosen or next(iter(streams), None)
        if chosen is not None and chosen.codec_context is None:
            text = f"holds {chosen.type} in a coding that cannot be read; encode it anew"
            raise self.file.rejection(Reason.UNSUPPORTED, text, "open")
        if chosen is not None and len(streams) > 1:
            number = list(streams).index(chosen) + 1
            self.notes.append(f"{what} track {number} of {len(streams)} used")
        return chosen

    @property
    def is_done(self) -> bool:
        return all(one.is_done for one in self.modalities)

    def check_claims(self) -> None:
        """Compare what the header claims with the limits, before anything is decoded."""
        limit = self.file.limits.max_duration_seconds
        wanted = self.span.seconds_of(self.claimed_seconds)
        if wanted > limit:
            text = f"is {float(wanted):.0f} seconds long; max_duration_seconds is {limit:g}"
            raise self.file.rejection(Reason.TOO_LONG, f"{text}: cut it into clips", "open")
        for one in self.modalities:
            one.check_claim(self.claimed_seconds)

    def enter(self, seconds: Fraction) -> None:
        """Go to the last key frame before `seconds` from the start."""
        stream = self.streams[0]
        if not stream.time_base or (self.video is not None and not self.video.is_timed):
            raise self.file.rejection(Reason.DAMAGED, "does not state when its frames are shown")
        if self.video is not None:
            self.video.is_entered = True
        start = stream.start_time or 0
        self.container.seek(start + int(seconds / stream.time_base), stream=stream)

    def run(self) -> None:
        """Decode until both modalities have what they need, or the file ends."""
        for packet in self.container.demux(*self.streams):
            self.file.check()
            modality = self.video if isinstance(packet.stream, av.VideoStream) else self.audio
            if modality is None or modality.is_done:
                continue
            modality.expect(packet)
            for frame in packet.decode():
                modality.add(frame)  # type: ignore[arg-type]  # of the kind of the stream
            self.file.check_bytes(sum(one.num_bytes for one in self.modalities))
            if modality.is_done and self.is_done:
                break
        self.file.check()  # a read that failed looks like the end of the file

    def check_length(self) -> None:
        """Raise RejectedMedia for a file that ends before it should, or before the span does."""
        first, claimed = self.modalities[0], self.claimed_seconds
        end = max(one.end_seconds for one in self.modalities)
        begin, stop = first.begin_seconds, first.stop_seconds
        kind = self.container.format.name
        if kind == "asf" and not claimed:  # its header states another size
            text = "is truncated, or was recorded live: its length is not known; fetch it again"
            raise self.file.rejection(Reason.TRUNCATED, text)
        needed = claimed if stop is None else min(stop, claimed)
        is_guess = kind == "mp3"
        if not self.is_done and not is_guess and end + LENGTH_SLACK_SECONDS < needed:
            text = f"{float(end):.2f} of {float(claimed):.2f} seconds could be read; fetch it again"
            raise self.file.rejection(Reason.TRUNCATED, f"is truncated: {text}")
        is_past = not self.span.is_whole and first.end_seconds <= begin
        is_short = stop is not None and end + LENGTH_SLACK_SECONDS < stop
        if is_past or (is_short and not self.span.is_limit):
            length = float(end - begin + self.span.start_seconds)
            text = f"it is {length:.2f} seconds long, the span asks for {self.span}"
            raise self.file.rejection(Reason.BAD_SPAN, f"has a bad span: {text}")

    def footage(self) -> Footage:
        """What was decoded, frames and sound from the same moment on."""
        frames = None if self.video is None else self.video.frames()
        waveform = None if self.audio is None else self.audio.waveform()
        if frames is None and waveform is None:
            raise self.file.rejection(Reason.EMPTY, "is empty: it holds no frames and no samples")
        if self.video is not None and frames is None:
            text = "is damaged: it has a video stream, but no frame could be read"
            raise self.file.rejection(Reason.DAMAGED, text)
        if self.audio is not None and self.audio.is_mute:
            text = "is damaged: no sample of its sound could be read"
            raise self.file.rejection(Reason.DAMAGED, text)
        heard = self.audio if waveform is not None else None
        notes = (self.video.notes if self.video else []) + self.notes
        return Footage(
            frames=frames,
            fps=Fraction(16) if self.video is None else self.video.grid_rate,
            waveform=waveform,
            sample_rate=heard.sample_rate if heard else None,
            channel_layout=heard.layout if heard else None,
            notes=(*notes, *(heard.notes if heard else ())),
        )
