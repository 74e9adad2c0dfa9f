"""How stored pictures are turned for the screen: the display matrix of a phone's video."""

from dataclasses import dataclass

import av
import numpy as np
from av.buffer import Buffer

ONE = 1 << 16  # in the fixed point of the matrix


@dataclass(frozen=True)
class Orientation:
    """A turn by quarters, exact, with or without a mirror.

    A stored pixel right of another by (1, 0) and below it by (0, 1) is on the screen at

        (x, y) = (a, b)  and  (x, y) = (c, d)

    with x to the right and y down (ISO/IEC 14496-12, 6.2.2): each of a b c d is -1, 0 or 1.
    """

    a: int = 1
    b: int = 0
    c: int = 0
    d: int = 1

    @property
    def is_sideways(self) -> bool:
        """Whether height and width change places."""
        return self.a == 0

    def upright(self, pixels: np.ndarray) -> np.ndarray:
        """A view of stored pixels as they are shown.

        pixels  height width 3
        """
        if self.is_sideways:  # first to columns that were rows: stored (x, y) at (y, x)
            turned = np.swapaxes(pixels, 0, 1)
            down, right = self.b, self.c
        else:
            turned = pixels
            down, right = self.d, self.a
        return turned[::down, ::right]


UPRIGHT = Orientation()


def orientation_of(frame: av.VideoFrame) -> Orientation | None:
    """Of a decoded frame; None where it is turned by anything but quarters."""
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # side data that this PyAV has no name for: it cannot look up any
        return None if frame.rotation else UPRIGHT
    if not isinstance(data, Buffer):
        return UPRIGHT
    a, b, _, c, d, _, _, _, _ = (int(entry) for entry in np.frombuffer(bytes(data), np.int32))
    if {abs(a), abs(b), abs(c), abs(d)} != {0, ONE} or abs(a) != abs(d) or abs(a) == abs(b):
        return None
    return Orientation(a // ONE, b // ONE, c // ONE, d // ONE)
