"""From an open container to a clip: both streams decoded side by side, bounded, on one clock."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import av

from mmdiff.media.clip import Clip
from mmdiff.media.decoded_pictures import DecodedPictures
from mmdiff.media.decoded_sound import DecodedSound
from mmdiff.media.limits import GIB
from mmdiff.media.media_file import MediaFile
from mmdiff.media.rejection import Reason, rejected
from mmdiff.media.span import Span

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,wav,flac,mp3,ogg"
OTHER_CONTAINERS = "mpegts,mpeg,flv,asf,aiff"  # for files that begin as one of them alone
# Without explode a flipped bit decodes to garbage and no error; crccheck is for flac, mp3 and ogg.
STRICT = {"err_detect": "crccheck+explode"}
FENCE = {
    "protocol_whitelist": "none",  # FFmpeg reads what it is handed and opens nothing by itself
    "max_streams": "64",
}
DURATION_SLACK_SECONDS = Fraction(1, 4)
CUT_OFF_SLACK_SECONDS = Fraction(1, 50)
AnyStream = av.VideoStream | av.AudioStream
Stream = TypeVar("Stream", av.VideoStream, av.AudioStream)

# Titles in another encoding are no damage. PyAV 19 reads them so by itself, without the argument.
_ANY_METADATA: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)


def decode_media(
    file: MediaFile,
    *,
    span: Span,
    demuxers: str = CONTAINERS,
    kinds: Collection[str] = (),
    is_cut_off: bool = False,
    enter_at: Fraction | None = None,
) -> Clip:
    """The picture and the sound stream of `file` that it shows by default, from its begin on.

    demuxers    of FFmpeg that may read it: no playlists, no pipes of images
    kinds       "video", "audio": streams that the file must hold, as its own index tells
    is_cut_off  whether the file states that it is longer than it is: then nothing may be missing
    enter_at    seconds from the first picture: decode from the key frame before that place on only

    Raises RejectedMedia, and what FFmpeg raises for damage (av.FFmpegError, EOFError, MemoryError;
    ArithmeticError, LookupError and ValueError for numbers that no file should hold).
    """
    file.seek(0)
    left = max(file.seconds_left, 0.01)
    max_pixels = {"max_pixels": str(file.limits.max_side**2)}  # before the decoder reserves memory
    options = {**STRICT, **FENCE, **max_pixels, "format_whitelist": demuxers}
    with av.open(file, "r", options=options, timeout=(left, left), **_ANY_METADATA) as opened:
        file.check()
        _check_kinds(file, opened, kinds)
        decoding = _Decoding.of(
            file, opened, span, is_cut_off=is_cut_off, is_entered=enter_at is not None
        )
        for stream in decoding.streams:
            stream.codec_context.thread_count = 1  # workers are forked, and bytes must not vary
            stream.codec_context.options = {**STRICT, **max_pixels}
        decoding.check_claims(opened)
        if enter_at is not None:
            decoding.enter(opened, enter_at)
        decoding.run(opened)
        if enter_at is not None:
            decoding.check_entry()
        decoding.check_length(opened, is_cut_off=is_cut_off)
    return decoding.clip()


@dataclass(eq=False)
class _Decoding:
    file: MediaFile
    span: Span
    streams: list[AnyStream]
    pictures: DecodedPictures | None
    sound: DecodedSound | None
    is_entered: bool  # in the middle: then the header must tell where the file starts
    notes: list[str]

    @classmethod
    def of(
        cls,
        file: MediaFile,
        container: av.container.InputContainer,
        span: Span,
        *,
        is_cut_off: bool,
        is_entered: bool,
    ) -> "_Decoding":
        notes: list[str] = []
        videos = [stream for stream in container.streams.video if not _is_cover(stream)]
        videos = _default_of(videos, "picture", notes)
        audios = _default_of(list(container.streams.audio), "sound", notes)
        if not videos and not audios:
            text = "holds neither picture nor sound"
            if is_cut_off:
                text = f"{text}, and states that it is longer: fetch it again"
                raise rejected(file.name, Reason.TRUNCATED, "open", text)
            raise rejected(file.name, Reason.EMPTY, "open", text)
        streams: list[AnyStream] = [*videos, *audios]
        for stream in streams:
            if stream.codec_context is None:
                text = f"holds {stream.type} in a coding that cannot be read; encode it anew"
                raise rejected(file.name, Reason.UNSUPPORTED, "open", text)
        pictures = sound = None
        if videos:
            start = videos[0].start_time if is_entered else None
            pictures = DecodedPictures(
                file.name,
                videos[0],
                span=span,
                limits=file.limits,
                start_pts=start,
                is_cut_off=is_cut_off,
            )
        if audios:
            sound = DecodedSound(
                file.name,
                audios[0],
                span=span,
                limits=file.limits,
                is_entered=is_entered,
                is_cut_off=is_cut_off,
            )
        return cls(file, span, streams, pictures, sound, is_entered, notes)

    def check_claims(self, container: av.container.InputContainer) -> None:
        """Compare what the header claims with the limits, before anything is decoded."""
        claimed = Fraction(container.duration or 0, av.time_base)
        limit = self.file.limits.max_duration_seconds
        wanted = self.span.seconds_of(claimed)
        if wanted > limit:
            text = f"is {float(wanted):.0f} seconds long; max_duration_seconds is {limit:g}"
            raise rejected(self.file.name, Reason.TOO_LONG, "open", f"{text}: cut it into clips")
        if self.pictures is not None:
            self.pictures.check_claim(claimed)
        if self.sound is not None:
            self.sound.check_claim(claimed)

    def enter(self, container: av.container.InputContainer, seconds: Fraction) -> None:
        """Go to the last key frame before `seconds` from the start."""
        stream = self.streams[0]
        is_timed = self.pictures is None or self.pictures.is_timed
        if stream.start_time is None or not stream.time_base or not is_timed:
            text = "does not state when it starts, or when its frames are shown"
            raise rejected(self.file.name, Reason.DAMAGED, "decode", text)
        container.seek(stream.start_time + int(seconds / stream.time_base), stream=stream)

    def run(self, container: av.container.InputContainer) -> None:
        """Decode until both halves have what they need, or the file ends."""
        is_bounded = self._bound_sound()
        for packet in container.demux(*self.streams):
            self.file.check()
            half = self.pictures if isinstance(packet.stream, av.VideoStream) else self.sound
            if half is None or half.is_done:
                continue
            half.num_packets += 1
            if isinstance(half, DecodedPictures):
                half.expect(packet)
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame) and self.pictures is not None:
                    self.pictures.add(frame)
                elif isinstance(frame, av.AudioFrame) and self.sound is not None:
                    self.sound.add(frame)
            if isinstance(half, DecodedPictures) and half.is_done:
                # A packet without content came at the end of the file, and has flushed the decoder.
                rest = packet.stream.codec_context.decode(None) if packet.size else []
                half.check_cut([frame for frame in rest if isinstance(frame, av.VideoFrame)])
            is_bounded = is_bounded or self._bound_sound()
            self._check_bytes()
            if half.is_done and self.is_done:
                break
        self.file.check()  # a read that failed looks like the end of the file

    @property
    def is_done(self) -> bool:
        return all(half.is_done for half in (self.pictures, self.sound) if half is not None)

    @property
    def bounds(self) -> tuple[Fraction, Fraction | None] | None:
        """Begin and stop of the span, on the clock of the file; None: not known yet."""
        if self.pictures is not None:
            begin, grid = self.pictures.begin_seconds, self.pictures.span
            if not self.pictures.has_begun:
                return None
        else:
            assert self.sound is not None
            start = self.sound.stream_start if self.is_entered else self.sound.first_seconds
            if start is None:
                return None
            grid = self.span.on_grid(Fraction(self.sound.sample_rate))
            begin = start + grid.start_seconds
        if grid.end_seconds is None:
            return begin, None
        return begin, begin + grid.end_seconds - grid.start_seconds

    def _bound_sound(self) -> bool:
        bounds = self.bounds
        if self.sound is None or self.span.is_whole or bounds is None:
            return self.sound is None or self.span.is_whole
        self.sound.keep_between(*bounds)
        return True

    def _check_bytes(self) -> None:
        size = 0 if self.pictures is None else self.pictures.num_bytes
        size += 0 if self.sound is None else self.sound.num_bytes
        if size > self.file.limits.max_decoded_bytes:
            text = f"is too large: {size / GIB:.1f} GiB decoded; cut it into shorter clips"
            raise rejected(self.file.name, Reason.TOO_LARGE, "decode", text)

    def check_entry(self) -> None:
        """Raise RejectedMedia where the file was entered behind the begin of the span."""
        bounds = self.bounds
        is_late = self.pictures is not None and self.pictures.is_late
        if self.sound is not None and bounds is not None:
            is_late = is_late or self.sound.is_late(bounds[0])
        if is_late or bounds is None:
            text = "cannot be entered in front of the span"
            raise rejected(self.file.name, Reason.DAMAGED, "decode", text)

    def check_length(self, container: av.container.InputContainer, *, is_cut_off: bool) -> None:
        """Raise RejectedMedia for a file that ends before it should, or before the span does."""
        end = max(half.end_seconds for half in (self.pictures, self.sound) if half is not None)
        claimed = Fraction(container.duration or 0, av.time_base)
        begin, stop = self.bounds or (Fraction(0), None)
        slack = CUT_OFF_SLACK_SECONDS if is_cut_off else DURATION_SLACK_SECONDS
        if container.format.name == "asf" and not claimed:  # its header states another size
            text = "is truncated, or was recorded live: its length is not known; fetch it again"
            raise rejected(self.file.name, Reason.TRUNCATED, "decode", text)
        is_guess = container.format.name == "mp3"
        if not is_guess and not self.is_done:
            needed = claimed if stop is None else min(stop, claimed)
            is_wav_cut = is_cut_off and container.format.name == "wav"  # claims what is there
            if is_wav_cut or end + slack < needed:
                of = "" if is_wav_cut else f" of {float(claimed):.2f}"
                text = f"is truncated: {float(end):.2f}{of} seconds could be read; fetch it again"
                raise rejected(self.file.name, Reason.TRUNCATED, "decode", text)
        first_half = self.pictures or self.sound
        assert first_half is not None
        is_past = not self.span.is_whole and first_half.end_seconds <= begin
        is_short = stop is not None and end + DURATION_SLACK_SECONDS < stop
        if is_past or (is_short and not self.span.is_limit):
            asked = f"{float(self.span.start_seconds):g}"
            if self.span.end_seconds is not None:
                asked += f" to {float(self.span.end_seconds):g}"
            length = float(end - begin + self.span.start_seconds)
            text = f"has a bad span: it is {length:.2f} seconds long, the span asks for {asked}"
            raise rejected(self.file.name, Reason.BAD_SPAN, "decode", text)

    def clip(self) -> Clip:
        """What was decoded, picture and sound from the same moment on."""
        bounds = self.bounds
        frames = None if self.pictures is None else self.pictures.frames()
        begin, stop = bounds or (Fraction(0), None)
        waveform = None if self.sound is None else self.sound.waveform(begin, stop)
        if frames is None and waveform is None:
            text = "is empty: it holds no frames and no samples"
            raise rejected(self.file.name, Reason.EMPTY, "decode", text)
        if self.pictures is not None and frames is None:
            text = "is damaged: it has a picture stream, but no frame could be read"
            raise rejected(self.file.name, Reason.DAMAGED, "decode", text)
        if self.sound is not None and self.sound.is_mute:
            text = "is damaged: no sample of its sound could be read"
            raise rejected(self.file.name, Reason.DAMAGED, "decode", text)
        notes = list(self.notes)
        sample_rate = layout = None
        if self.sound is not None and waveform is not None:
            sample_rate, layout = self.sound.sample_rate, self.sound.layout
            notes += self.sound.notes
        if self.pictures is None or frames is None:
            return Clip(
                waveform=waveform,
                sample_rate=sample_rate,
                channel_layout=layout,
                notes=tuple(notes),
            )
        notes = self.pictures.notes + notes
        return Clip(frames, self.pictures.grid_rate, waveform, sample_rate, layout, tuple(notes))


def _check_kinds(
    file: MediaFile, container: av.container.InputContainer, kinds: Collection[str]
) -> None:
    lost = set(kinds) - {stream.type for stream in container.streams}
    if container.format.name == "avi":  # it knows no other streams than FFmpeg does
        lost |= {"a stream" for stream in container.streams if stream.codec_context is None}
    if lost:
        text = f"is damaged: it holds {' and '.join(sorted(lost))} that cannot be recognized"
        raise rejected(file.name, Reason.DAMAGED, "open", f"{text}; fetch it again")


def _is_cover(stream: av.VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _default_of(streams: Sequence[Stream], what: str, notes: list[str]) -> list[Stream]:
    """The stream that players take, if there is one: the first that is marked as the default, or
    the first of all."""
    marked = [stream for stream in streams if stream.disposition & av.stream.Disposition.default]
    chosen = list(marked or streams)[:1]
    if len(streams) > 1:
        place = streams.index(chosen[0]) + 1
        notes.append(f"{what} track {place} of {len(streams)} used")
    return chosen
