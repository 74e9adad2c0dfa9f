"""Footage as the bytes of a movie, the same bytes for the same footage: mp4 and mov hold H.264
(4:2:0) and AAC, webm holds VP9 (4:2:0) and Opus."""

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace
from torch import Tensor

from mmdiff.media.footage import Footage

AAC_RATES = (
    *(7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
AAC_FRAME = 1024  # samples
LAYOUTS = {1: "mono", 2: "stereo"}
SMALLEST_SIDE, LARGEST_SIDE = 2, 8192
LARGEST_RATE_PART = 1_000_000
BT709 = 1  # the tag in the file for primaries, transfer and matrix


@dataclass(frozen=True)
class Codecs:
    """What a container holds here."""

    video: str
    options: dict[str, str]
    audio: str
    sample_rates: tuple[int, ...]


H264_AAC = Codecs(
    "libx264",
    {
        "crf": "14",
        "preset": "medium",
        "threads": "1",  # bytes depend on their number
        "mbtree": "0",  # with it one clip in twenty came out as other bytes, by what memory held
    },
    "aac",
    AAC_RATES,
)
VP9_OPUS = Codecs(
    "libvpx-vp9",
    {"crf": "12", "b": "0", "deadline": "good", "cpu-used": "2", "threads": "1"},
    "libopus",
    OPUS_RATES,
)
CODECS = {".mp4": H264_AAC, ".mov": H264_AAC, ".webm": VP9_OPUS}


def encode_movie(clip: Footage, suffix: str, *, comment: str = "") -> bytes:
    """The whole file, with a comment among its metadata if there is one. Holds the time of day
    nowhere, so equal clips give equal bytes on one machine.

    suffix  one of MOVIE_SUFFIXES

    Raises ValueError for what the format cannot hold: a size, rate or number of channels, with the
    nearest it can.
    """
    codecs = CODECS[suffix]
    _check_movie(clip, "an mp4" if suffix == ".mp4" else f"a {suffix[1:]}", codecs)
    file = io.BytesIO()
    options = {"fflags": "+bitexact"}
    if suffix != ".webm":  # the sample rate as the unit of its times
        options["movie_timescale"] = str(clip.sample_rate or 1000)
    with av.open(file, "w", format=suffix[1:], options=options) as container:
        if comment:
            container.metadata["comment"] = comment
        video = None if clip.frames is None else _video_stream(container, clip, codecs)
        audio = None if clip.waveform is None else _audio_stream(container, clip, codecs)
        if video is not None and clip.frames is not None:
            _encode_frames(container, video, clip.frames)
        if audio is not None and clip.waveform is not None:
            _encode_waveform(container, audio, clip.waveform)
    return file.getvalue()


def _check_movie(clip: Footage, name: str, codecs: Codecs) -> None:
    _, height, width = clip.shape
    legal = [min(max(side + side % 2, SMALLEST_SIDE), LARGEST_SIDE) for side in (height, width)]
    if clip.frames is not None and legal != [height, width]:
        raise ValueError(
            f"frames are {height} x {width}; {name} (4:2:0) takes even sides from "
            f"{SMALLEST_SIDE} to {LARGEST_SIDE}: {legal[0]} x {legal[1]} "
            "(mmdiff.media.resample has resize and pad)"
        )
    if max(clip.fps.numerator, clip.fps.denominator) > LARGEST_RATE_PART:
        slower = clip.fps.limit_denominator(1001)
        raise ValueError(f"fps is {clip.fps}; the nearest that {name} takes is {slower}")
    if clip.waveform is None or (rate := clip.sample_rate) is None:
        return
    if rate not in codecs.sample_rates:
        nearest = min(codecs.sample_rates, key=lambda one: abs(one - rate))
        possible = ", ".join(map(str, codecs.sample_rates))
        raise ValueError(
            f"sample_rate is {rate}; {codecs.audio} in {name} takes {possible}: {nearest}"
        )
    if len(clip.waveform) not in LAYOUTS:
        raise ValueError(f"waveform has {len(clip.waveform)} channels; {name} takes 1 or 2 here")


def _video_stream(container: OutputContainer, clip: Footage, codecs: Codecs) -> av.VideoStream:
    stream = container.add_stream(codecs.video, rate=clip.fps, options=codecs.options)
    stream = cast(av.VideoStream, stream)
    _, stream.height, stream.width = clip.shape
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / clip.fps
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = ColorRange.MPEG.value
    return stream


def _audio_stream(container: OutputContainer, clip: Footage, codecs: Codecs) -> av.AudioStream:
    assert clip.waveform is not None and clip.sample_rate is not None
    channels = len(clip.waveform)
    stream = container.add_stream(codecs.audio, rate=clip.sample_rate, layout=LAYOUTS[channels])
    stream = cast(av.AudioStream, stream)
    stream.bit_rate = channels * min(4 * clip.sample_rate, 160_000)
    stream.codec_context.time_base = Fraction(1, clip.sample_rate)
    return stream


def _encode_frames(container: OutputContainer, stream: av.VideoStream, frames: Tensor) -> None:
    for index, pixels in enumerate(frames.cpu().numpy()):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base, frame.duration = index, stream.codec_context.time_base, 1
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _encode_waveform(container: OutputContainer, stream: av.AudioStream, waveform: Tensor) -> None:
    for start, chunk in enumerate(waveform.cpu().split(AAC_FRAME, dim=1)):
        samples = np.ascontiguousarray(chunk.numpy())
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=LAYOUTS[len(samples)])
        frame.sample_rate, frame.pts = stream.rate, start * AAC_FRAME
        frame.time_base = Fraction(1, stream.rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
