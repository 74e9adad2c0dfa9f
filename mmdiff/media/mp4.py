"""A clip as the bytes of a movie, the same bytes for the same clip: mp4 and mov hold H.264 (4:2:0)
and AAC, webm holds VP9 (4:2:0) and Opus."""

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from torch import Tensor

from mmdiff.media.clip import Clip

AAC_RATES = (
    7350,
    8000,
    11025,
    12000,
    16000,
    22050,
    24000,
    32000,
    44100,
    48000,
    64000,
    88200,
    96000,
)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
AAC_FRAME = 1024
LAYOUTS = {1: "mono", 2: "stereo"}
SMALLEST_SIDE, LARGEST_SIDE = 2, 8192
LARGEST_RATE_PART = 1_000_000
H264_OPTIONS = {
    "crf": "14",
    "preset": "medium",
    "threads": "1",  # bytes depend on their number
    "mbtree": "0",  # with it one clip in twenty came out as other bytes, by what memory held
}
VP9_OPTIONS = {"crf": "12", "b": "0", "deadline": "good", "cpu-used": "2", "threads": "1"}
BT709 = 1  # the tag in the file for primaries, transfer and matrix


@dataclass(frozen=True)
class _Movie:
    """A container with the codecs that it holds here."""

    format: str
    video: str
    options: dict[str, str]
    audio: str
    rates: tuple[int, ...]
    keeps_scale: bool  # takes the sample rate as the unit of its times


_H264 = ("libx264", H264_OPTIONS, "aac", AAC_RATES, True)
_MOVIES = {
    ".mp4": _Movie("mp4", *_H264),
    ".mov": _Movie("mov", *_H264),
    ".webm": _Movie("webm", "libvpx-vp9", VP9_OPTIONS, "libopus", OPUS_RATES, False),
}


def encode_mp4(clip: Clip, *, comment: str = "") -> bytes:
    """`encode_movie` as .mp4."""
    return encode_movie(clip, ".mp4", comment=comment)


def encode_movie(clip: Clip, suffix: str, *, comment: str = "") -> bytes:
    """The whole file, with a comment among its metadata if there is one. Holds the time of day
    nowhere, so equal clips give equal bytes on one machine.

    suffix  one of MOVIE_SUFFIXES

    Raises ValueError for what the format cannot hold: a size, rate or number of channels, with the
    nearest it can.
    """
    movie = _MOVIES[suffix]
    _check(clip, f"a {suffix[1:]}" if suffix != ".mp4" else "an mp4", movie)
    file = io.BytesIO()
    options = {"fflags": "+bitexact"}
    if movie.keeps_scale:
        options["movie_timescale"] = str(clip.sample_rate or 1000)
    with av.open(file, "w", format=movie.format, options=options) as container:
        if comment:
            container.metadata["comment"] = comment
        video = None if clip.frames is None else _video_stream(container, clip, movie)
        audio = None if clip.waveform is None else _audio_stream(container, clip, movie)
        if video is not None and clip.frames is not None:
            _encode_frames(container, video, clip.frames)
        if audio is not None and clip.waveform is not None:
            _encode_waveform(container, audio, clip.waveform)
    return file.getvalue()


def _check(clip: Clip, name: str, movie: _Movie) -> None:
    _, height, width = clip.shape
    if clip.frames is not None:
        legal = (_legal_side(height), _legal_side(width))
        if legal != (height, width):
            raise ValueError(
                f"frames are {height} x {width}; {name} (4:2:0) takes even sides from "
                f"{SMALLEST_SIDE} to {LARGEST_SIDE}: {legal[0]} x {legal[1]} "
                "(mmdiff.media.resample has resize and pad)"
            )
    if max(clip.fps.numerator, clip.fps.denominator) > LARGEST_RATE_PART:
        raise ValueError(
            f"fps is {clip.fps}; "
            f"the nearest that {name} takes is {clip.fps.limit_denominator(1001)}"
        )
    if clip.waveform is None or clip.sample_rate is None:
        return
    if clip.sample_rate not in movie.rates:
        nearest = min(movie.rates, key=lambda rate: abs(rate - (clip.sample_rate or 0)))
        raise ValueError(
            f"sample_rate is {clip.sample_rate}; "
            f"{movie.audio} in {name} takes {', '.join(map(str, movie.rates))}: {nearest}"
        )
    if clip.waveform.shape[0] not in LAYOUTS:
        raise ValueError(
            f"waveform has {clip.waveform.shape[0]} channels; {name} takes 1 or 2 here"
        )


def _legal_side(side: int) -> int:
    return min(max(side + side % 2, SMALLEST_SIDE), LARGEST_SIDE)


def _video_stream(
    container: av.container.OutputContainer, clip: Clip, movie: _Movie
) -> av.VideoStream:
    _, height, width = clip.shape
    stream = cast(
        av.VideoStream, container.add_stream(movie.video, rate=clip.fps, options=movie.options)
    )
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / clip.fps
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = ColorRange.MPEG.value
    return stream


def _audio_stream(
    container: av.container.OutputContainer, clip: Clip, movie: _Movie
) -> av.AudioStream:
    assert clip.waveform is not None
    assert clip.sample_rate is not None
    channels = clip.waveform.shape[0]
    stream = cast(
        av.AudioStream,
        container.add_stream(movie.audio, rate=clip.sample_rate, layout=LAYOUTS[channels]),
    )
    stream.bit_rate = channels * min(4 * clip.sample_rate, 160_000)
    stream.codec_context.time_base = Fraction(1, clip.sample_rate)
    return stream


def _encode_frames(
    container: av.container.OutputContainer, stream: av.VideoStream, frames: Tensor
) -> None:
    for index, pixels in enumerate(frames.cpu().numpy()):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base, frame.duration = index, stream.codec_context.time_base, 1
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _encode_waveform(
    container: av.container.OutputContainer, stream: av.AudioStream, waveform: Tensor
) -> None:
    layout = LAYOUTS[waveform.shape[0]]
    samples = np.ascontiguousarray(waveform.cpu().numpy())
    for start in range(0, samples.shape[1], AAC_FRAME):
        chunk = np.ascontiguousarray(samples[:, start : start + AAC_FRAME])
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = stream.rate, start
        frame.time_base = Fraction(1, stream.rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
