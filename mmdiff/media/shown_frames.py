"""Decoded frames as they are shown: whole, in the colours of BT.709, opaque, on square pixels,
upright."""

from fractions import Fraction
from functools import lru_cache

import av
import numpy as np
from av.video.reformatter import (
    ColorPrimaries,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)

from mmdiff.media.deinterlacer import Deinterlacer
from mmdiff.media.orientation import UPRIGHT, orientation_of
from mmdiff.media.rejection import Reason, rejected
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


class ShownFrames:
    """Takes the frames of a stream in the order of time and gives their pixels, in that order: a
    frame later where they are interlaced.

    notes  what was done to them, and what they state that is not honoured
    """

    def __init__(self, name: str, stream: av.VideoStream) -> None:
        self.name = name
        self.notes: list[str] = []
        self._time_base = stream.time_base or Fraction(1, 1000)
        self._aspect = Fraction(stream.sample_aspect_ratio or 1)
        self._deinterlacer: Deinterlacer | None = None
        self._reformatter = VideoReformatter()  # one for all frames: setting it up costs the most
        self._orientation = UPRIGHT
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
        """Height and width of what is shown, before the turn, by the first frame.

        Raises RejectedMedia for a turn by anything but quarters.
        """
        orientation = orientation_of(frame)
        if orientation is None:
            angle = frame.rotation
            text = f"is stored turned by {angle} degrees, no multiple of 90; save it upright"
            raise rejected(self.name, Reason.ROTATED, "decode", text)
        self._orientation = orientation
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
            if _holds(frame, data):
                self._note(f"{what} picture used as it is stored")
        return frame.height, width

    def push(self, frame: av.VideoFrame | None) -> list[np.ndarray]:
        """The pixels that are done,  height width 3  each; None: no more frames will come."""
        if self._deinterlacer is None and frame is not None and frame.interlaced_frame:
            self._deinterlacer = Deinterlacer(frame, self._time_base)
            self._note("deinterlaced")
        if self._deinterlacer is not None:
            return [self._pixels(whole) for whole in self._deinterlacer.push(frame)]
        return [] if frame is None else [self._pixels(frame)]

    def _pixels(self, frame: av.VideoFrame) -> np.ndarray:
        pixels = self._reformatter.reformat(frame, **self._options).to_ndarray()  # type: ignore[arg-type]
        if self._has_alpha:
            pixels, is_transparent = on_white(pixels)
            if is_transparent:
                self._note(ON_WHITE)
        return self._orientation.upright(pixels)

    def _choose_colours(self, frame: av.VideoFrame) -> None:
        """Of the curves and primaries that differ from BT.709 by more than players care about.

        Relative colorimetric: diffuse white of 203 cd/m2 (BT.2408) becomes white, and what is
        brighter is clipped.
        """
        curve, primaries = frame.color_trc, frame.color_primaries
        what = HDR.get(curve) or OTHER_CURVES.get(curve) or WIDE.get(primaries)
        if what is not None:
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


@lru_cache(maxsize=4)
def _colour_reformatter(*_: object) -> VideoReformatter:
    """One for all files of the same kind: its table of colours takes seconds to make."""
    return VideoReformatter()


def _holds(frame: av.VideoFrame, side_data: str) -> bool:
    try:
        return frame.side_data.get(side_data) is not None
    except ValueError:  # side data that this PyAV has no name for: it cannot look up any
        return False
