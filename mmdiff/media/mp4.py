"""A clip as the bytes of an mp4: H.264 (4:2:0) and AAC, the same bytes for the same clip."""

import io
from fractions import Fraction

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
AAC_FRAME = 1024
AAC_LAYOUTS = {1: "mono", 2: "stereo"}
SMALLEST_SIDE, LARGEST_SIDE = 2, 8192
LARGEST_RATE_PART = 1_000_000
H264_OPTIONS = {
    "crf": "14",
    "preset": "medium",
    "threads": "1",  # bytes depend on their number
    "mbtree": "0",  # with it one clip in twenty came out as other bytes, by what memory held
}
BT709 = 1  # the tag in the file for primaries, transfer and matrix


def encode_mp4(clip: Clip, *, comment: str = "") -> bytes:
    """The whole file, with a comment among its metadata if there is one. Holds the time of day
    nowhere, so equal clips give equal bytes on one machine.

    Raises ValueError for what the format cannot hold: a size, rate or number of channels, with the
    nearest it can.
    """
    check_mp4(clip)
    file = io.BytesIO()
    options = {"fflags": "+bitexact", "movie_timescale": str(clip.sample_rate or 1000)}
    with av.open(file, "w", format="mp4", options=options) as container:
        if comment:
            container.metadata["comment"] = comment
        video = None if clip.frames is None else _video_stream(container, clip)
        audio = None if clip.waveform is None else _audio_stream(container, clip)
        if video is not None and clip.frames is not None:
            _encode_frames(container, video, clip.frames)
        if audio is not None and clip.waveform is not None:
            _encode_waveform(container, audio, clip.waveform)
    return file.getvalue()


def check_mp4(clip: Clip) -> None:
    """Raise the ValueError that `encode_mp4` would."""
    _, height, width = clip.shape
    if clip.frames is not None:
        legal = (_legal_side(height), _legal_side(width))
        if legal != (height, width):
            raise ValueError(
                f"frames are {height} x {width}; an mp4 (H.264, 4:2:0) takes even sides from "
                f"{SMALLEST_SIDE} to {LARGEST_SIDE}: {legal[0]} x {legal[1]} "
                "(mmdiff.media.resample has resize and pad)"
            )
    if max(clip.fps.numerator, clip.fps.denominator) > LARGEST_RATE_PART:
        raise ValueError(
            f"fps is {clip.fps}; "
            f"the nearest that an mp4 takes is {clip.fps.limit_denominator(1001)}"
        )
    if clip.waveform is None or clip.sample_rate is None:
        return
    if clip.sample_rate not in AAC_RATES:
        nearest = min(AAC_RATES, key=lambda rate: abs(rate - (clip.sample_rate or 0)))
        raise ValueError(
            f"sample_rate is {clip.sample_rate}; "
            f"AAC in an mp4 takes {', '.join(map(str, AAC_RATES))}: {nearest}"
        )
    if clip.waveform.shape[0] not in AAC_LAYOUTS:
        raise ValueError(
            f"waveform has {clip.waveform.shape[0]} channels; an mp4 takes 1 or 2 here"
        )


def _legal_side(side: int) -> int:
    return min(max(side + side % 2, SMALLEST_SIDE), LARGEST_SIDE)


def _video_stream(container: av.container.OutputContainer, clip: Clip) -> av.VideoStream:
    _, height, width = clip.shape
    stream = container.add_stream("libx264", rate=clip.fps, options=H264_OPTIONS)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / clip.fps
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = ColorRange.MPEG.value
    return stream


def _audio_stream(container: av.container.OutputContainer, clip: Clip) -> av.AudioStream:
    assert clip.waveform is not None
    assert clip.sample_rate is not None
    channels = clip.waveform.shape[0]
    stream = container.add_stream("aac", rate=clip.sample_rate, layout=AAC_LAYOUTS[channels])
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
    layout = AAC_LAYOUTS[waveform.shape[0]]
    samples = np.ascontiguousarray(waveform.cpu().numpy())
    for start in range(0, samples.shape[1], AAC_FRAME):
        chunk = np.ascontiguousarray(samples[:, start : start + AAC_FRAME])
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = stream.rate, start
        frame.time_base = Fraction(1, stream.rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
