"""Whole frames from interlaced ones, by FFmpeg's bwdif."""

from fractions import Fraction

import av
from av.filter import Graph

FILTER = "mode=send_frame:deint=interlaced"  # one frame for each; progressive ones as they are


class Deinterlacer:
    """Takes frames in the order of time and gives one for each, a frame later: a field is put
    between those of its neighbours in time."""

    def __init__(self, frame: av.VideoFrame, time_base: Fraction) -> None:
        self._graph = Graph()
        self._graph.threads = 1
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        deinterlace = self._graph.add("bwdif", FILTER)
        sink = self._graph.add("buffersink")
        source.link_to(deinterlace)
        deinterlace.link_to(sink)
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
