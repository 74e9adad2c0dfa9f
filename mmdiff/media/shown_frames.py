"""Decoded frames as they are shown: whole, in the colours of BT.709, opaque, on square pixels,
upright."""

from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from av.buffer import Buffer
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter

from mmdiff.media.media_file import MediaFile
from mmdiff.media.rejection import Reason
from mmdiff.media.transparency import ON_WHITE, on_white

HDR: dict[int, str] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
OTHER_CURVES: dict[int, str] = {
    ColorTrc.LINEAR: "linear light",
    ColorTrc.LOG: "logarithmic light",
    ColorTrc.LOG_SQRT: "logarithmic light",
    ColorTrc.SMPTE428: "SMPTE 428",
}
WIDE: dict[int, str] = {
    ColorPrimaries.BT2020: "BT.2020",
    ColorPrimaries.SMPTE431: "DCI-P3",
    ColorPrimaries.SMPTE432: "Display P3",
}
UNREAD_SIDE_DATA = {"SPHERICAL": "spherical", "STEREO3D": "stereoscopic"}
ONE = 1 << 16  # in the fixed point of a display matrix


class ShownFrames:
    """Takes the frames of a stream in the order of time and gives their pixels, in that order: a
    frame later where they are interlaced.

    notes  what was done to them, and what they state that is not honoured
    """

    def __init__(self, file: MediaFile, stream: av.VideoStream) -> None:
        self.file = file
        self.notes: list[str] = []
        self._time_base = stream.time_base or Fraction(1, 1000)
        self._aspect = Fraction(stream.sample_aspect_ratio or 1)
        self._deinterlacer: Deinterlacer | None = None
        self._reformatter = VideoReformatter()  # one for all frames: setting it up costs the most
        self._matrix = (1, 0, 0, 1)
        self._options: dict[str, object] = {}
        self._has_alpha = False
        tags = {name.lower(): value for name, value in stream.metadata.items()}
        is_coded_alpha = tags.get("alpha_mode") == "1"  # beside the packets
        if is_coded_alpha and not stream.codec_context.codec.name.startswith("libvpx"):
            self._note("transparency of its VP8 or VP9 not honoured")

    @property
    def is_delayed(self) -> bool:
        """Whether a frame is done only when the next one has come."""
        return self._deinterlacer is not None

    def begin(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Height and width of what is shown, by the first frame.

        Raises RejectedMedia for a turn by anything but quarters.
        """
        matrix = display_matrix(frame)
        if matrix is None:
            text = f"is stored turned by {frame.rotation} degrees, no multiple of 90"
            raise self.file.rejection(Reason.ROTATED, f"{text}; save it upright")
        self._matrix = matrix
        self._has_alpha = frame.format.has_palette or any(
            component.is_alpha for component in frame.format.components
        )
        self._options = {"format": "rgba" if self._has_alpha else "rgb24", "threads": 1}
        self._choose_colours(frame)
        width = int(frame.width * self._aspect)  # as FFmpeg's scale=iw*sar:ih
        if width != frame.width:
            self._options |= {"width": width, "interpolation": Interpolation.BICUBIC}
            shape = f"{self._aspect.numerator}:{self._aspect.denominator}"
            self._note(f"square pixels from {shape}")
        for data, what in UNREAD_SIDE_DATA.items():
            if side_data(frame, data) is not None:
                self._note(f"{what} picture used as it is stored")
        return (frame.height, width) if matrix[0] else (width, frame.height)

    def push(self, frame: av.VideoFrame | None) -> list[np.ndarray]:
        """The pixels that are done,  height width 3  each; None: no more frames will come."""
        if self._deinterlacer is None and frame is not None and frame.interlaced_frame:
            self._deinterlacer = Deinterlacer(frame, self._time_base)
            self._note("deinterlaced")
        if self._deinterlacer is not None:
            return [self._pixels(whole) for whole in self._deinterlacer.push(frame)]
        return [] if frame is None else [self._pixels(frame)]

    def _pixels(self, frame: av.VideoFrame) -> np.ndarray:
        shown = self._reformatter.reformat(frame, **self._options)  # type: ignore[arg-type]
        plane, depth = shown.planes[0], 4 if self._has_alpha else 3
        # a view, without the padding behind each row: a copy would cost as much as the conversion
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(shown.height, plane.line_size)
        pixels = rows[:, : shown.width * depth].reshape(shown.height, shown.width, depth)
        if self._has_alpha:
            pixels, is_transparent = on_white(pixels)
            if is_transparent:
                self._note(ON_WHITE)
        return turned(pixels, self._matrix)

    def _choose_colours(self, frame: av.VideoFrame) -> None:
        """Of the curves and primaries that differ from BT.709 by more than players care about.

        Relative colorimetric: diffuse white of 203 cd/m2 (BT.2408) becomes white, and what is
        brighter is clipped.
        """
        curve, primaries = frame.color_trc, frame.color_primaries
        what = HDR.get(curve) or OTHER_CURVES.get(curve) or WIDE.get(primaries)
        if what is None:
            return
        self._options |= {
            "dst_color_trc": ColorTrc.BT709,
            "dst_color_primaries": ColorPrimaries.BT709,
        }
        colours = (frame.format.name, frame.colorspace, frame.color_range, curve, primaries)
        size = (frame.width, frame.height, self._aspect, self._options["format"])
        self._reformatter = _colour_reformatter(*colours, *size)
        self._note(f"BT.709 from {what}" + (", highlights clipped" if curve in HDR else ""))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


class Deinterlacer:
    """FFmpeg's bwdif: takes frames in the order of time and gives one for each, a frame later: a
    field is put between those of its neighbours in time. Progressive ones stay as they are."""

    def __init__(self, frame: av.VideoFrame, time_base: Fraction) -> None:
        self._graph = Graph()
        self._graph.threads = 1
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        self._graph.configure()

    def push(self, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
        """The frames that are done; None: no more will come."""
        self._graph.vpush(frame)
        done = []
        while True:
            try:
                done.append(self._graph.vpull())
            except (av.BlockingIOError, av.EOFError):
                return done


def display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int] | None:
    """How a phone's video is turned for the screen: a b c d, each -1, 0 or 1; None where it is
    turned by anything but quarters, mirrored or not.

    A stored pixel right of another by (1, 0) and below it by (0, 1) is on the screen at (a, b) and
    (c, d), with x to the right and y down (ISO/IEC 14496-12, 6.2.2).
    """
    data = side_data(frame, "DISPLAYMATRIX")
    if data is None:
        return None if frame.rotation else (1, 0, 0, 1)
    a, b, _, c, d, _, _, _, _ = (int(entry) for entry in np.frombuffer(bytes(data), np.int32))
    if {abs(a), abs(b), abs(c), abs(d)} != {0, ONE} or abs(a) != abs(d) or abs(a) == abs(b):
        return None
    return a // ONE, b // ONE, c // ONE, d // ONE


def turned(pixels: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """A view of stored pixels,  height width 3,  as `matrix` shows them."""
    a, b, c, d = matrix
    if a == 0:  # rows become columns: stored (x, y) at (y, x)
        return np.swapaxes(pixels, 0, 1)[::b, ::c]
    return pixels[::d, ::a]


def side_data(frame: av.VideoFrame, name: str) -> Buffer | None:
    try:
        data = frame.side_data.get(name)
    except ValueError:  # side data that this PyAV has no name for: it cannot look up any
        return None
    return data if isinstance(data, Buffer) else None


@lru_cache(maxsize=4)
def _colour_reformatter(*_: object) -> VideoReformatter:
    """One for all files of the same kind: its table of colours takes seconds to make."""
    return VideoReformatter()
