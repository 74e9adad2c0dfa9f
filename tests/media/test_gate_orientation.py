import struct

import numpy as np
import pytest

from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Reason
from tests.media.odd_files import scene, write_media

ONE = 1 << 16
QUARTERS = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)]
MIRRORED = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


def _write_with_matrix(path, frames, a, b, c, d) -> None:
    """Puts the matrix of ISO/IEC 14496-12, 8.3.2, into the header of the track by hand."""
    write_media(path, frames=frames, codec="png", pix_fmt="rgb24")
    data = bytearray(path.read_bytes())
    place = data.find(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, place, a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def _shown(frames: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Pixel by pixel, as the standard says: (x, y) to (a x + c y, b x + d y), moved into view."""
    _, height, width, _ = frames.shape
    places = {(a * x + c * y, b * x + d * y): (x, y) for x in range(width) for y in range(height)}
    left, top = (min(place[axis] for place in places) for axis in (0, 1))
    right, bottom = (max(place[axis] for place in places) for axis in (0, 1))
    shown = np.empty((len(frames), bottom - top + 1, right - left + 1, 3), dtype=np.uint8)
    for (to_x, to_y), (x, y) in places.items():
        shown[:, to_y - top, to_x - left] = frames[:, y, x]
    return shown


@pytest.mark.parametrize("matrix", QUARTERS + MIRRORED, ids=str)
def test_frames_come_out_as_the_matrix_of_the_file_shows_them(tmp_path, matrix):
    frames = scene(3, height=12, width=20)
    _write_with_matrix(tmp_path / "turned.mov", frames, *matrix)
    clip = decode_clip(tmp_path / "turned.mov")
    assert np.array_equal(clip.frames.numpy(), _shown(frames, *matrix))


def test_the_matrix_of_a_phone_held_upright_turns_to_the_right(tmp_path):
    """(0, 1, -1, 0): what was at the left of the sensor is at the top of the screen."""
    frames = np.zeros((2, 12, 20, 3), dtype=np.uint8)
    frames[:, :, 0] = 255
    _write_with_matrix(tmp_path / "phone.mov", frames, 0, 1, -1, 0)
    clip = decode_clip(tmp_path / "phone.mov")
    assert clip.shape == (2, 20, 12)
    assert clip.frames[:, 0].min() == 255 and clip.frames[:, 1:].max() == 0


@pytest.mark.parametrize("degrees", [10, 45, 89, -30])
def test_other_turns_are_refused(tmp_path, degrees):
    path = tmp_path / "askew.mp4"
    write_media(path, frames=scene(3), turn=lambda stream: stream.set_display_rotation(degrees))
    assert decode_clip(path).reason is Reason.ROTATED
