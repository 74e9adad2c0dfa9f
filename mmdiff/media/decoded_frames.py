"""The decoded frames of one stream, and the even grid of time they are put on."""

from collections import deque
from fractions import Fraction
from math import ceil

import av
import numpy as np
import torch
from torch import Tensor

from mmdiff.media.footage import exact_rate
from mmdiff.media.frame_grid import rate_of_grid, shown_at_ticks
from mmdiff.media.limits import Span
from mmdiff.media.media_file import MediaFile
from mmdiff.media.rejection import Reason
from mmdiff.media.shown_frames import ShownFrames

SLOWEST, FASTEST = Fraction(1, 60), 1000  # frames per second; others come of a damaged time scale
FOREVER = 2**62  # in ticks of any stream


class DecodedFrames:
    """Collects the frames of a span and their times; what is wrong with them is a RejectedMedia.

    Takes from the stream what it needs at once: its fields are gone when the file is closed. Times
    are integers, in ticks of the stream, as long as frames come: fractions would cost a tenth of
    the decoding of small frames. An AVI knows no time but the order of its packets, which is that
    of decoding: the first frame is shown at the time of the first packet, and so on.

    begin_seconds, stop_seconds  of the span, on the clock of the file; stop: None for its end
    """

    def __init__(self, file: MediaFile, stream: av.VideoStream, span: Span) -> None:
        self.file = file
        rate = stream.average_rate or stream.guessed_rate
        if not rate or stream.time_base is None:
            text = "states no frame rate; encode it anew"
            raise file.rejection(Reason.UNSUPPORTED, text, "open")
        self.rate = exact_rate(rate)
        if not SLOWEST <= self.rate <= FASTEST:
            text = f"is damaged: its time scale says {self.rate} frames a second; encode it anew"
            raise file.rejection(Reason.DAMAGED, text, "open")
        self.grid_rate = self.rate  # of `frames`
        self.time_base = stream.time_base
        self.span = span.on_grid(self.rate)
        self._begin_at(stream.start_time or 0)
        self.stated_frames = _stated_frames(stream, file.limits.max_frames)
        self.stated_size = (stream.height, stream.width)
        is_avi = stream.container.format.name == "avi"
        self.is_timed = not is_avi or not stream.codec_context.has_b_frames
        self.is_entered = False  # in the middle of the file
        self.is_done = False
        self.num_bytes = 0
        self._stated_rates = [self.rate, *([stream.base_rate] if stream.base_rate else [])]
        self._slots: deque[int] | None = deque() if is_avi else None
        self._shown = ShownFrames(file, stream)
        self._expected = 1  # frames that there is room for
        self._pixels: np.ndarray | None = None  # frames height width 3
        self._num_filled = 0
        self._pts: list[int] = []
        self._num_outside = 0  # frames before the span that only help to deinterlace
        self._size: tuple[int, int] | None = None
        self._earlier: av.VideoFrame | None = None  # may still be on the screen as the span begins
        self._last_pts = -FOREVER
        self._num_came = 0  # frames, kept or let go

    @property
    def notes(self) -> list[str]:
        """What was done to the frames, and what could not be honoured."""
        return self._shown.notes

    @property
    def end_seconds(self) -> Fraction:
        """The end of the last frame that came, on the clock of the file."""
        if self._last_pts == -FOREVER:
            return self.begin_seconds
        return self._last_pts * self.time_base + 1 / self.rate

    @property
    def is_late(self) -> bool:
        """Whether the first frame came after the span began: the file was entered too late."""
        return bool(self._pts) and self._pts[0] >= self._second_pts

    def check_claim(self, length_seconds: Fraction) -> None:
        """Before anything is decoded: raise RejectedMedia for more than the limits allow.

        length_seconds  of the file, as it states; 0 where it does not
        """
        if 0 in self.stated_size:
            side = self.file.limits.max_side
            text = f"has no frame size: it is damaged, or larger than {side} x {side} (max_side)"
            raise self.file.rejection(Reason.TOO_LARGE, text, "open")
        expected = max(round(self.span.seconds_of(length_seconds) * self.rate), 1)
        self._expected = max(expected, self.stated_frames) if self.span.is_whole else expected
        self.file.check_frames(self._expected, *self.stated_size, "open")

    def expect(self, packet: av.Packet) -> None:
        """Before each packet is decoded."""
        if self._slots is not None and packet.size and packet.dts is not None:
            self._slots.append(packet.dts)

    def add(self, frame: av.VideoFrame) -> None:
        if self._slots is not None:
            frame.pts = self._slots.popleft() if self._slots else None
        count, pts = len(self._pts), frame.pts
        self._num_came += 1
        if frame.is_corrupt or pts is None:
            what = "is corrupt" if frame.is_corrupt else "has no time"
            raise self.file.rejection(Reason.DAMAGED, f"is damaged: frame {count} {what}")
        if pts < self._last_pts:
            text = "is damaged: its frames are not in the order of time"
            raise self.file.rejection(Reason.DAMAGED, text)
        if self._num_came == 1 and not self.is_entered:
            self._begin_at(pts)  # a recording may lack the key frame of those before
        self._last_pts = pts
        if pts < self._first_pts:
            self._earlier = frame
        elif pts >= self._stop_pts:
            if self._shown.is_delayed:
                self._fill(self._shown.push(frame))
            self.is_done = True
        else:
            if self._earlier is not None and pts >= self._second_pts:
                self._keep(self._earlier)
            elif self._earlier is not None and self._earlier.interlaced_frame:
                self._num_outside = 1
                self._begin_showing(self._earlier)
                self._fill(self._shown.push(self._earlier))
            self._earlier = None
            self._keep(frame)

    def frames(self) -> Tensor | None:
        """frames height width 3 on an even grid at `grid_rate`; None where there is no frame."""
        if self._earlier is not None and not self._pts:
            self._keep(self._earlier)
        is_from_start = self.span.start_seconds == 0
        if not self.is_done and is_from_start and self._num_came < self.stated_frames:
            text = f"is truncated: {self._num_came} of {self.stated_frames} frames could be read"
            raise self.file.rejection(Reason.TRUNCATED, text)
        if not self._pts:
            return None
        self._fill(self._shown.push(None))
        assert self._pixels is not None
        _, height, width, _ = self._pixels.shape
        begin = self.begin_seconds / self.time_base
        seconds = (np.array(self._pts) - float(begin)) * float(self.time_base)
        self.grid_rate = rate = rate_of_grid(np.maximum(seconds, 0), self._stated_rates)
        last = round((self._pts[-1] - begin) * self.time_base * rate)
        num_ticks = max(last, 0) + max(round(rate / self.rate), 1)
        if self.is_done and self.span.length_seconds is not None:  # the last stays to the end
            num_ticks = round(self.span.length_seconds * rate)
        self.file.check_frames(num_ticks, height, width)
        indices = shown_at_ticks(seconds, rate, num_ticks=num_ticks)
        if indices != list(range(len(self._pts))):
            self.notes.append(f"uneven frames put on a grid of {float(rate):.6g} fps")
        elif len(indices) == len(self._pixels):
            return torch.from_numpy(self._pixels)
        return torch.from_numpy(self._pixels[indices])

    def _begin_at(self, start_pts: int) -> None:
        """Bound the span, in a file that starts then: a frame counts from half a frame before it
        begins."""
        length, frame_ticks = self.span.length_seconds, 1 / (self.rate * self.time_base)
        begin = start_pts + self.span.start_seconds / self.time_base
        self.begin_seconds = begin * self.time_base
        self.stop_seconds = None if length is None else self.begin_seconds + length
        self._first_pts = ceil(begin - frame_ticks / 2)
        self._second_pts = ceil(begin + frame_ticks / 2)
        self._stop_pts = FOREVER
        if length is not None:
            self._stop_pts = ceil(begin + length / self.time_base - frame_ticks / 2)

    def _keep(self, frame: av.VideoFrame) -> None:
        if self._size is not None and (frame.height, frame.width) != self._size:
            text = f"changes its size at frame {len(self._pts)}; encode it anew"
            raise self.file.rejection(Reason.UNSUPPORTED, text)
        self._begin_showing(frame)
        self._pts.append(frame.pts or 0)
        self._fill(self._shown.push(frame))

    def _begin_showing(self, frame: av.VideoFrame) -> None:
        """The first frame says how all of them are shown."""
        if self._size is None:
            self._size = (frame.height, frame.width)
            height, width = self._shown.begin(frame)
            self.file.check_frames(self._expected, height, width)
            self._pixels = np.empty((self._expected, height, width, 3), dtype=np.uint8)

    def _fill(self, shown: list[np.ndarray]) -> None:
        """Put the pixels of the frames that are kept where they stay: stacked at the end, a clip
        would be held twice."""
        assert self._pixels is not None
        for pixels in shown:
            if self._num_outside:
                self._num_outside -= 1
            elif self._num_filled < len(self._pts):  # those behind the span are not kept
                if self._num_filled == len(self._pixels):
                    self.file.check_frames(self._num_filled + 1, *pixels.shape[:2])
                    self._pixels = np.concatenate([self._pixels, np.empty_like(self._pixels)])
                self._pixels[self._num_filled] = pixels
                self._num_filled += 1
                self.num_bytes += pixels.size


def _stated_frames(stream: av.VideoStream, most: int) -> int:
    """0 where the container does not say; the header of an mp4 also counts frames that its edit
    list cuts off, that of an AVI empty packets, which repeat a frame."""
    entries, kind = stream.index_entries, stream.container.format.name
    if not stream.frames or not 0 < len(entries) <= most:
        return stream.frames
    if kind == "avi":
        return len(entries)
    return sum(not entry.is_discard for entry in entries) if "mp4" in kind else stream.frames
