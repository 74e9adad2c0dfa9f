import io
import random
from collections import Counter

import pytest
import torch

from mmdiff.media.reader import decode_clip
from mmdiff.media.rejection import Rejection
from tests.media.odd_files import pings, scene, write_media

NUM_FLIPS = 300
SAMPLES_OF_A_FRAME = 1024
LOWEST_PSNR = 35  # a flip in a timestamp may show one frame twice


@pytest.fixture(scope="module")
def detailed() -> bytes:
    """Nearly all of it is picture, in few slices."""
    file = io.BytesIO()
    frames = scene(32, height=96, width=128)
    frames[:, ::3, ::5] ^= 31
    write_media(file, frames=frames, waves=(pings(),), container="mp4")
    return file.getvalue()


def _outcomes(intact: bytes):
    chance = random.Random(0)
    for _ in range(NUM_FLIPS):
        flipped = bytearray(intact)
        flipped[chance.randrange(len(intact))] ^= 1 << chance.randrange(8)
        yield decode_clip(io.BytesIO(bytes(flipped)), name="flipped.mp4")


def _counts(intact: bytes, psnr) -> Counter[str]:
    """Of what became of the flips: refused, garbled, altered (sound), alike."""
    truth = decode_clip(io.BytesIO(intact), name="intact.mp4")
    counts: Counter[str] = Counter()
    for outcome in _outcomes(intact):
        if isinstance(outcome, Rejection):
            counts["refused"] += 1
        elif (
            (outcome.shape, outcome.fps) != (truth.shape, truth.fps)
            or psnr(outcome.frames, truth.frames) < LOWEST_PSNR
            or outcome.waveform is None
            or outcome.waveform.shape != truth.waveform.shape
        ):
            counts["garbled"] += 1
        elif not torch.allclose(outcome.waveform, truth.waveform, atol=0.02):
            counts["altered"] += 1
            differs = (outcome.waveform - truth.waveform).abs() > 0.02
            assert differs.sum() < 3 * SAMPLES_OF_A_FRAME
        else:
            counts["alike"] += 1
    return counts


def test_v2_no_flipped_bit_gives_silent_garbage(small_clip, psnr, tmp_path):
    """AAC has no checksum: a flipped bit may change a frame of 64 ms and stay legal. So a changed
    sound is bounded and counted, where a changed picture is refused."""
    small_clip(33).save(tmp_path / "good.mp4")
    counts = _counts((tmp_path / "good.mp4").read_bytes(), psnr)
    assert counts["garbled"] == 0
    assert counts["altered"] <= NUM_FLIPS * 0.02
    assert counts["alike"] > NUM_FLIPS / 2  # what a flip does not harm is not refused


def test_v2_flips_that_h264_cannot_see_are_few(detailed, psnr):
    """Nor has H.264 a checksum: where all bits of a slice are picture, some flips decode to another
    legal picture. No decoder can tell; a sha256 in the list does (tests/data)."""
    counts = _counts(detailed, psnr)
    assert counts["garbled"] <= NUM_FLIPS * 0.05
    assert counts["refused"] > NUM_FLIPS / 2
