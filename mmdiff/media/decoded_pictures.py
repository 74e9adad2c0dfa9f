"""The decoded frames of one stream, and the even grid of time they are put on."""

from collections import deque
from fractions import Fraction
from itertools import pairwise
from math import ceil

import av
import numpy as np
import torch
from torch import Tensor

from mmdiff.media.clip import exact_rate
from mmdiff.media.frame_grid import rate_of_grid, shown_at_ticks
from mmdiff.media.limits import GIB, Limits
from mmdiff.media.rejection import Reason, RejectedMedia, Stage, rejected
from mmdiff.media.shown_frames import ShownFrames
from mmdiff.media.span import Span

SLOWEST, FASTEST = Fraction(1, 60), 1000  # frames per second; others come of a damaged time scale
FOREVER = 2**62  # in ticks of any stream


class DecodedPictures:
    """Collects the frames of a span and their times; what is wrong with them is a RejectedMedia.

    Takes from the stream what it needs at once: its fields are gone when the file is closed. Times
    are integers, in ticks of the stream, as long as frames come: fractions would cost a tenth of
    the decoding of small frames. An AVI knows no time but the order of its packets, which is that
    of decoding: the first picture is shown at the time of the first packet, and so on.

    start_pts   when the first picture of the file is shown; None: with the first that comes
    is_cut_off  whether the file states that it is longer than it is: its index may be missing
    """

    def __init__(
        self,
        name: str,
        stream: av.VideoStream,
        *,
        span: Span,
        limits: Limits,
        start_pts: int | None = None,
        is_cut_off: bool = False,
    ) -> None:
        self.name = name
        self.limits = limits
        rate = stream.average_rate or stream.guessed_rate
        if not rate or stream.time_base is None:
            raise self._refusal(Reason.UNSUPPORTED, "states no frame rate; encode it anew", "open")
        self.rate = exact_rate(rate)
        if not SLOWEST <= self.rate <= FASTEST:
            text = f"is damaged: its time scale says {self.rate} frames a second; encode it anew"
            raise self._refusal(Reason.DAMAGED, text, "open")
        self.grid_rate = self.rate  # of `frames`
        self._other_rate = stream.base_rate
        self.time_base = stream.time_base
        self.span = span.on_grid(self.rate)
        self.stated_frames = _stated_frames(stream, limits, is_cut_off)
        self.stated_size = (stream.height, stream.width)
        self.is_timed = not _is_avi(stream) or not stream.codec_context.has_b_frames
        self.is_done = False
        self.num_packets = 0
        self.num_bytes = 0
        self._pixels: deque[np.ndarray] = deque()
        self._pts: list[int] = []
        self._slots: deque[int] | None = deque() if _is_avi(stream) else None
        self._shown = ShownFrames(name, stream)
        self._num_outside = 0  # frames before the span that only help to deinterlace
        self._size: tuple[int, int] | None = None
        self._shown_size = (0, 0)
        self._earlier: av.VideoFrame | None = None  # may still be on the screen as the span begins
        self._last_pts = -FOREVER
        self._num_came = 0  # frames, kept or let go
        self._is_mp4 = "mp4" in stream.container.format.name
        self._decoding_time: int | None = None
        self._steps: set[int] = set()  # between the times at which packets are decoded
        self._due: set[int] = set()  # times of frames that were handed to the decoder
        self._has_passed = False  # whether a frame behind the span came
        self._is_entered = start_pts is not None
        self._start_pts = start_pts
        if start_pts is not None:
            self._begin_at(start_pts)

    @property
    def notes(self) -> list[str]:
        """What was done to the frames, and what could not be honoured."""
        return self._shown.notes

    @property
    def has_begun(self) -> bool:
        """Whether the start of the file is known."""
        return self._start_pts is not None

    @property
    def begin_seconds(self) -> Fraction:
        """When the span begins, on the clock of the file."""
        return (self._start_pts or 0) * self.time_base + self.span.start_seconds

    @property
    def end_seconds(self) -> Fraction:
        """The end of the last frame that came, on the clock of the file."""
        return (
            self._last_pts * self.time_base + 1 / self.rate
            if self._last_pts > -FOREVER
            else (self.begin_seconds)
        )

    @property
    def is_late(self) -> bool:
        """Whether the first frame came after the span began: the file was entered too late."""
        return bool(self._pts) and self._pts[0] >= self._second_pts

    def check_claim(self, length_seconds: Fraction) -> None:
        """Before anything is decoded: raise RejectedMedia for more than the limits allow.

        length_seconds  of the file, as it states; 0 where it does not
        """
        if 0 in self.stated_size:
            side = self.limits.max_side
            text = f"has no frame size: it is damaged, or larger than {side} x {side} (max_side)"
            raise self._refusal(Reason.TOO_LARGE, text, "open")
        expected = round(self.span.seconds_of(length_seconds) * self.rate)
        if self.span.is_whole:
            expected = max(expected, self.stated_frames)
        self._check_size(max(expected, 1), self.stated_size, "open")

    def expect(self, packet: av.Packet) -> None:
        """Before each packet is decoded."""
        if not packet.size:
            return
        if self._slots is not None and packet.dts is not None:
            self._slots.append(packet.dts)
        if packet.dts is not None:
            if self._decoding_time is not None:
                self._steps.add(packet.dts - self._decoding_time)
            self._decoding_time = packet.dts
        if self._slots is None and packet.pts is not None and not packet.is_discard:
            self._due.add(packet.pts)

    def check_cut(self, rest: list[av.VideoFrame]) -> None:
        """Where the span ends before the file: raise RejectedMedia for a frame of it that went into
        the decoder and never came. A container that states no number of frames is not asked: its
        packets may show nothing.

        rest  what the decoder still held: its frames lie behind the span
        """
        if not self.stated_frames:
            return
        if self._slots is not None:
            num_lost = len(self._slots) - len(rest)
        else:
            self._due -= {frame.pts for frame in rest if frame.pts is not None}
            num_lost = sum(self._first_pts <= pts < self._stop_pts for pts in self._due)
        if num_lost > 0:
            text = f"is damaged: {num_lost} frames of the span could not be read"
            raise self._refusal(Reason.DAMAGED, text)

    def add(self, frame: av.VideoFrame) -> None:
        if self._slots is not None:
            frame.pts = self._slots.popleft() if self._slots else None
        count, pts = len(self._pts), frame.pts
        self._num_came += 1
        if frame.is_corrupt:
            raise self._refusal(Reason.DAMAGED, f"is damaged: frame {count} is corrupt")
        if pts is None:
            raise self._refusal(Reason.DAMAGED, f"is damaged: frame {count} has no time")
        if pts < self._last_pts:
            text = "is damaged: its frames are not in the order of time"
            raise self._refusal(Reason.DAMAGED, text)
        if self._start_pts is None:
            self._begin_at(pts)
        self._last_pts = pts
        self._due.discard(pts)
        if pts < self._first_pts:
            self._earlier = frame
        elif pts >= self._stop_pts:
            # One frame far behind the span may have a damaged time: the next one tells.
            if self._shown.is_delayed and not self._has_passed:
                self._take(self._shown.push(frame))
            self.is_done = self._has_passed or pts < self._stop_pts + 2 * self._frame_ticks
            self._has_passed = True
        else:
            if self._earlier is not None and pts >= self._second_pts:
                self._keep(self._earlier)
            elif self._earlier is not None and self._earlier.interlaced_frame:
                self._num_outside = 1
                self._take(self._shown.push(self._begun(self._earlier)))
            self._earlier = None
            self._keep(frame)

    def frames(self) -> Tensor | None:
        """frames height width 3 on an even grid at `grid_rate`; None where there is no frame.

        Gives the frames away: it can be called once.
        """
        if self._earlier is not None and not self._pts:
            self._keep(self._earlier)
        if not self.is_done and not self._is_entered and self._num_came < self.stated_frames:
            text = f"is truncated: {self._num_came} of {self.stated_frames} frames could be read"
            raise self._refusal(Reason.TRUNCATED, text)
        if not self._pts:
            return None
        self._take(self._shown.push(None))
        self._check_steps()
        begin = self.begin_seconds / self.time_base
        seconds = (np.array(self._pts) - float(begin)) * float(self.time_base)
        stated = (self.rate, *([self._other_rate] if self._other_rate else []))
        self.grid_rate = rate = rate_of_grid(np.maximum(seconds, 0), stated)
        last = round((self._pts[-1] - begin) * self.time_base * rate)
        num_ticks = max(last, 0) + max(round(rate / self.rate), 1)
        if (
            self._has_passed and self.span.end_seconds is not None
        ):  # the last frame stays to the end
            num_ticks = round((self.span.end_seconds - self.span.start_seconds) * rate)
        self._check_size(num_ticks, self._shown_size, "decode")
        indices = shown_at_ticks(seconds, rate, num_ticks=num_ticks)
        if indices != list(range(len(self._pts))):
            self.notes.append(f"uneven frames put on a grid of {float(rate):.6g} fps")
        return self._stack(indices)

    def _check_steps(self) -> None:
        """Frames of an mp4 that are decoded at an even pace are shown at that pace: another one is
        a damaged entry of its table of times."""
        if not self._is_mp4 or len(self._steps) != 1:
            return
        if any({after - before} != self._steps for before, after in pairwise(self._pts)):
            text = "is damaged: the times of its frames do not fit together; fetch it again"
            raise self._refusal(Reason.DAMAGED, text)

    def _begin_at(self, start_pts: int) -> None:
        """Set the ticks that bound the span: a frame counts from half a frame before it begins."""
        self._start_pts = start_pts
        self._frame_ticks = frame_ticks = 1 / (self.rate * self.time_base)
        begin = self.begin_seconds / self.time_base
        self._first_pts = ceil(begin - frame_ticks / 2)
        self._second_pts = ceil(begin + frame_ticks / 2)
        self._stop_pts = FOREVER
        if self.span.end_seconds is not None:
            seconds = self.span.end_seconds - self.span.start_seconds
            self._stop_pts = ceil(begin + seconds / self.time_base - frame_ticks / 2)

    def _keep(self, frame: av.VideoFrame) -> None:
        count = len(self._pts)
        if (frame.height, frame.width) != self._size and self._size is not None:
            raise self._refusal(
                Reason.UNSUPPORTED, f"changes its size at frame {count}; encode it anew"
            )
        frame = self._begun(frame)
        self._check_size(count + 1, self._shown_size, "decode")
        self._pts.append(frame.pts or 0)
        self._take(self._shown.push(frame))

    def _begun(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame; the first one says how all of them are shown."""
        if self._size is None:
            self._size = (frame.height, frame.width)
            self._shown_size = self._shown.begin(frame)
        return frame

    def _take(self, shown: list[np.ndarray]) -> None:
        """The pixels of the frames that are kept, in their order."""
        for pixels in shown:
            if self._num_outside:
                self._num_outside -= 1
            elif len(self._pixels) < len(self._pts):  # those behind the span are not kept
                self.num_bytes += pixels.size
                self._pixels.append(pixels)

    def _stack(self, indices: list[int]) -> Tensor:
        """Copied and let go frame by frame, so that the clip is not held twice."""
        stacked = np.empty((len(indices), *self._pixels[0].shape), dtype=np.uint8)
        shown = 0
        for tick, index in enumerate(indices):
            while shown < index:
                self._pixels.popleft()
                shown += 1
            stacked[tick] = self._pixels[0]
        return torch.from_numpy(stacked)

    def _check_size(self, num_frames: int, size: tuple[int, int], stage: Stage) -> None:
        limits = self.limits
        height, width = size
        if max(size) > limits.max_side:
            text = f"has frames of {height} x {width}; max_side is {limits.max_side}: scale it down"
            raise self._refusal(Reason.TOO_LARGE, text, stage)
        if num_frames > limits.max_frames:
            text = f"has {num_frames} frames; max_frames is {limits.max_frames}"
            raise self._refusal(Reason.TOO_LONG, f"{text}: cut it into shorter clips", stage)
        num_bytes = num_frames * height * width * 3
        if num_bytes > limits.max_decoded_bytes:
            raise self._refusal(
                Reason.TOO_LARGE,
                f"is too large: {num_frames} frames of {height} x {width} are "
                f"{num_bytes / GIB:.1f} GiB decoded, at most {limits.max_decoded_bytes / GIB:.1f} "
                "are read (max_decoded_bytes); cut it into shorter clips",
                stage,
            )

    def _refusal(self, reason: Reason, text: str, stage: Stage = "decode") -> RejectedMedia:
        return rejected(self.name, reason, stage, text)


def _is_avi(stream: av.VideoStream) -> bool:
    return stream.container.format.name == "avi"


def _stated_frames(stream: av.VideoStream, limits: Limits, is_cut_off: bool) -> int:
    """0 where the container does not say; the header of an mp4 also counts frames that its edit
    list cuts off, that of an AVI empty packets, which repeat a frame."""
    entries = stream.index_entries
    if not stream.frames or not 0 < len(entries) <= limits.max_frames:
        return stream.frames
    if _is_avi(stream):
        return stream.frames if is_cut_off else len(entries)
    if "mp4" not in stream.container.format.name:
        return stream.frames
    return sum(not entry.is_discard for entry in entries)
